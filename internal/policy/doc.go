// Package policy evaluates Rego. It is the only importer of OPA: it reads policy
// and data files, compiles them into an immutable Snapshot, and answers the
// domain's questions from it.
//
// A Snapshot answers with the machine of internal/policy/machine; a policy that
// the machine cannot lower is evaluated by OPA's general evaluator instead, with
// the same answers and more slowly. Built-in errors are strict, and built-ins that
// reach outside the process do not exist.
package policy
