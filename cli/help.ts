/** The text of `--help`, `help` and `help COMMAND`. */
import type { Command } from "./command.ts";
import { environmentName, type Flag } from "./flags.ts";

const width = 100;

export function overview(commands: Command[], roles: Command[]): string {
  return `skiff: a service mesh for virtual machines and bare metal

Roles
${table(roles.map(({ name, summary }) => [`skiff ${name}`, summary]))}

Commands
${table(commands.map(({ name, summary }) => [`skiff ${name}`, summary]))}

\`skiff help COMMAND\` and \`skiff help ROLE\` (such as \`skiff help agent\`) tell more.
Every flag has an environment variable: SKIFF_ and its name in capitals, - as _ (--data-dir: SKIFF_DATA_DIR).
Exit codes: 0 done, 1 failed, 2 the command line or a file it names is wrong.
`;
}

export function commandHelp(command: Command, flags: Flag[]): string {
  const rows = flags.map((flag): [string, string] => {
    const short = flag.short === undefined ? "    " : `-${flag.short}, `;
    return [`${short}--${flag.name} ${flag.value}`, `${flag.description} [${environmentName(flag.name)}]`];
  });
  return `Usage: skiff ${command.usage}\n\n${command.description}\n\nFlags\n${table(rows)}\n`;
}

/** Two columns; the right one is wrapped. */
function table(rows: [string, string][]): string {
  const left = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, text]) => `  ${name.padEnd(left)}${wrap(text, width - left - 2, " ".repeat(left + 2))}`)
    .join("\n");
}

function wrap(text: string, columns: number, indent: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1];
    if (last !== "" && last.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines.join(`\n${indent}`);
}
