// Command bench measures Caregate next to what it is compared with, in one run on
// one machine, and holds each ratio to its bound:
//
//   - a decision in process, reasons included, next to OPA evaluating a one-line
//     rule with the same options;
//   - the decisions API over loopback TCP, with the facts in a Redis that is started
//     for it, next to a bare Echo handler that reads and writes the same JSON, and
//     next to an OPA server of the same version with a policy written for it and
//     the facts in its data. Once with the cache and the memo of decisions as they
//     are, once with questions of which none is asked twice, so that the memo is
//     of no use, and once without the cache;
//   - batches, for each decision in them, next to single questions, and next to an OPA
//     server that is asked one question after another;
//   - how long decisions take while administrators preview and explain as much as they
//     can, next to how long they take alone;
//   - searches for patients in a large organisation, next to single checks, and late
//     pages next to first ones;
//   - the memory of a sidecar with few and with many patients, next to that of the
//     OPA server, and that of Redis;
//   - the size of the binary, and the time from its start to its readiness.
//
// Contenders take turns within each round, ratios are made within a round, and
// their medians are reported: whatever else the machine is doing slows both sides
// of a ratio. Servers are processes of their own, so that nobody else's garbage is
// collected on their time.
package main
