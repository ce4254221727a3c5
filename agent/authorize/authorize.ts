/**
 * Whether a request, or a connection, may go on: the rules of its filter chain, judged by who the caller has proved to
 * be. Forwarding takes the {@link Permit} that only this file makes, so that nothing is forwarded unasked.
 */
import type { RequestHead } from "../decode/head.ts";
import type { DownstreamLink } from "../downstream_stream.ts";
import type { Exchange } from "../exchange.ts";
import type { ConnectionRules, Verdict } from "../../routing/authorize/judge.ts";
import { connectionRequest, RequestFactsOfHead, WrittenRequest } from "./request_facts.ts";
import { chooseCluster } from "../route/route_table.ts";
import { tellDenial, tellShadow } from "./denials.ts";

class Granted {
  readonly #granted = true;
}

/** Proof that a request or a connection has been judged and may go on. */
export type Permit = Granted;

const granted = new Granted();

/** Text and status of Envoy's RBAC filter. */
const deniedBody = "RBAC: access denied";
const deniedStatus = 403;

const facts = new RequestFactsOfHead();

/** `null`: the request has been answered. */
export function authorize(exchange: Exchange, head: RequestHead): Permit | null {
  const { rules } = exchange.downstream!.link;
  if (rules === null || (rules.settled?.allowed && !rules.hasShadow)) return granted;
  const { link } = exchange.downstream!;
  facts.read(head, link);
  if (rules.hasShadow) tellShadow(exchange.thread, link, rules.judgeShadow(facts));
  const verdict = rules.judge(facts);
  if (verdict.allowed) return granted;
  noteDestination(exchange, head);
  deny(exchange, verdict);
  return null;
}

/** Of a connection that carries no requests; `null`: it must be closed. */
export function authorizeConnection(link: DownstreamLink, thread: Exchange["thread"]): Permit | null {
  const { rules } = link;
  if (rules === null) return granted;
  const request = connectionRequest(link);
  if (rules.hasShadow) tellShadow(thread, link, rules.judgeShadow(request));
  const verdict = rules.judge(request);
  if (verdict.allowed) return granted;
  tellDenial(thread, link, verdict);
  return null;
}

/** Why a connection's rules refuse it, for the log; empty where they do not. */
export function terminationDetails(link: DownstreamLink): string {
  const verdict = link.rules?.judge(connectionRequest(link));
  return verdict === undefined || verdict.allowed ? "" : details(verdict);
}

/** Judges a request in flight once more, by what its application was sent: the rules have changed. */
export function reauthorize(exchange: Exchange, rules: ConnectionRules): void {
  if (rules.settled?.allowed) return;
  const { link } = exchange.downstream!;
  const verdict = rules.settled ??
    (exchange.head.length === 0 ? null : rules.judge(new WrittenRequest(exchange.head, link)));
  // Of a CONNECT nothing is kept that could be judged.
  if (verdict === null) return exchange.cutOff(0);
  if (verdict.allowed) return;
  exchange.details = details(verdict);
  if (exchange.status === 0) deny(exchange, verdict);
  else exchange.cutOff(0);
}

/** Whom the request was for, as the log and metrics tell it. */
function noteDestination(exchange: Exchange, head: RequestHead): void {
  const { chain } = exchange.downstream!.link;
  const route = chain.routes?.select(head) ?? null;
  if (route === null || route.action.kind !== "route") return;
  exchange.route = route;
  exchange.cluster = chain.proxy.clusters.get(chooseCluster(route.action).name) ?? null;
}

function deny(exchange: Exchange, verdict: Verdict): void {
  tellDenial(exchange.thread, exchange.downstream!.link, verdict);
  exchange.details = details(verdict);
  exchange.giveUp({ status: deniedStatus, flag: 0, body: deniedBody, close: false });
}

/** Envoy's response code details. */
function details({ policy }: Verdict): string {
  return `rbac_access_denied_matched_policy[${policy.replaceAll(/\s/g, "_")}]`;
}
