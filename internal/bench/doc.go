// Command bench measures Caregate next to what it is compared with, in one run on
// one machine, and holds each ratio to its bound:
//
//   - a decision in process, reasons included, next to OPA evaluating a one-line
//     rule with the same options;
//   - the decisions API over loopback TCP, next to a bare Echo handler that reads
//     and writes the same JSON, and next to an OPA server of the same version with
//     a policy written for it and the facts in its data;
//   - the size of the binary, and the time from its start to its readiness.
//
// Contenders take turns within each round, ratios are made within a round, and
// their medians are reported: whatever else the machine is doing slows both sides
// of a ratio. Servers are processes of their own, so that nobody else's garbage is
// collected on their time.
package main
