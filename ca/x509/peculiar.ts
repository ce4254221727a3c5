/** The X.509 library, loaded after the metadata polyfill that its decorators need at load time. */
import "reflect-metadata";
export * from "@peculiar/x509";
