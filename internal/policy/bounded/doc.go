// Package bounded has the built-in functions that a policy may call. A function of OPA's
// does not look at the deadline while it works, so what it costs has to be bounded by the
// size of what it is given: most are by themselves, some are within the limits that are
// laid on them here, and the others a policy cannot call. Both evaluators call the same
// functions.
package bounded
