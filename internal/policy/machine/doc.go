// Package machine evaluates compiled policies. OPA's planner lowers Rego to an
// intermediate representation, a small imperative language that its WebAssembly
// backend is built on; this package lowers that further, into instructions with
// dense frames and interned constants, and executes them over OPA's own values
// with OPA's own built-in functions.
//
// It exists because a decision with its reasons is some thirty rules, and OPA's
// general evaluator, made to search for bindings and to explain itself, costs a
// microsecond or more for each. The language is OPA's and stays so: parsing,
// type checking, compilation and planning are OPA's, and the tests hold this
// evaluator to OPA's conformance suite and to the general evaluator.
//
// Built-in errors are strict, as they must be where `not` guards an allow: any
// error stops the evaluation and is returned.
package machine
