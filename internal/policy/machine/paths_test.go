package machine_test

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"

	"github.com/caregate/caregate/internal/policy/machine"
)

// A plan may use a local again for something else, although OPA's planner mostly
// takes a new one. What was known of it is forgotten then, wherever that happened.
func TestPathsOfLocalsThatAreWrittenAgain(t *testing.T) {
	const (
		reused = ir.Local(iota + 3)
		list
		result
		found
		key
		element
	)
	dot := func(from ir.Local, name int, to ir.Local) ir.Stmt {
		return &ir.DotStmt{Source: ir.Operand{Value: &from}, Key: ir.Operand{Value: new(ir.StringIndex(name))}, Target: to}
	}
	note := func() ir.Stmt { return &ir.ArrayAppendStmt{Array: result, Value: ir.Operand{Value: new(found)}} }
	const a, b, c, names = 0, 1, 2, 3
	rewrite := dot(ir.Input, b, reused)
	read := []ir.Stmt{dot(reused, c, found), note()}
	block := func(statements ...ir.Stmt) *ir.Block { return &ir.Block{Stmts: statements} }
	scan := func(b *ir.Block) ir.Stmt { return &ir.ScanStmt{Source: list, Key: key, Value: element, Block: b} }
	type testOfPaths struct {
		between ir.Stmt
		want    string
	}
	tests := map[string]testOfPaths{
		"in a row":       {rewrite, "[1, 2]"},
		"in a block":     {&ir.BlockStmt{Blocks: []*ir.Block{block(rewrite)}}, "[1, 2]"},
		"left early":     {&ir.BlockStmt{Blocks: []*ir.Block{block(rewrite, &ir.BreakStmt{})}}, "[1, 2]"},
		"not reached":    {&ir.BlockStmt{Blocks: []*ir.Block{block(dot(ir.Input, c, element), rewrite)}}, "[1, 1]"},
		"under not":      {&ir.NotStmt{Block: block(rewrite, &ir.BreakStmt{})}, "[1, 2]"},
		"in a scan":      {scan(block(rewrite)), "[1, 2]"},
		"later in scans": {scan(block(read[0], read[1], rewrite)), "[1, 1, 2, 2]"},
		"by a scan":      {&ir.ScanStmt{Source: list, Key: key, Value: reused, Block: block()}, "[1, 3]"},
	}
	// How far a break goes: a scan is two blocks deep.
	nested := func(b ...ir.Stmt) ir.Stmt { return &ir.BlockStmt{Blocks: []*ir.Block{block(b...)}} }
	out := func(n uint32) ir.Stmt { return &ir.BreakStmt{Index: n} }
	tests["break of 0 goes on with the next"] = testOfPaths{scan(block(note(), out(0), note())), "[1, 1, 1, 1]"}
	tests["break of 1 ends the scan"] = testOfPaths{scan(block(note(), out(1), note())), "[1, 1, 1]"}
	tests["break of 2 leaves the block around it"] = testOfPaths{nested(scan(block(note(), out(2))), note()), "[1, 1, 1]"}
	tests["break of 1 in a block of a scan goes on"] = testOfPaths{scan(block(nested(note(), out(1)), note())), "[1, 1, 1, 1]"}
	tests["break of 2 in a block of a scan ends it"] = testOfPaths{
		nested(scan(block(nested(note(), out(2)), note())), note()), "[1, 1, 1, 1]",
	}
	tests["break of 3 in a block of a scan leaves the block around it"] = testOfPaths{
		nested(scan(block(nested(note(), out(3)), note())), note()), "[1, 1, 1]",
	}
	tests["break of 1 under not leaves the block around it"] = testOfPaths{
		nested(&ir.NotStmt{Block: block(note(), out(1))}, note()), "[1, 1, 1]",
	}
	tests["not that is left goes on"] = testOfPaths{nested(&ir.NotStmt{Block: block(out(0), note())}, note()), "[1, 1, 1]"}
	tests["not that ends leaves"] = testOfPaths{nested(&ir.NotStmt{Block: block(note())}, note()), "[1, 1, 1]"}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			statements := []ir.Stmt{
				dot(ir.Input, b, element), dot(element, c, found), // both paths have been looked up
				&ir.MakeArrayStmt{Target: result}, dot(ir.Input, names, list), dot(ir.Input, a, reused),
				read[0], read[1], tt.between, read[0], read[1],
				&ir.ReturnLocalStmt{Source: result},
			}
			plan := &ir.Policy{
				Static: &ir.Static{Strings: []*ir.StringConst{{Value: "a"}, {Value: "b"}, {Value: "c"}, {Value: "list"}}},
				Funcs: &ir.Funcs{Funcs: []*ir.Func{{
					Name: "g0.data.t.r", Path: []string{"g0", "t", "r"}, Params: []ir.Local{ir.Input, ir.Data}, Return: result,
					Blocks: []*ir.Block{block(statements...)},
				}}},
			}
			program, err := machine.Compile(plan, ast.NewObject(), nil)
			if err != nil {
				t.Fatal(err)
			}
			entry, _ := program.Entry("t/r")
			input := ast.MustParseTerm(`{"a": {"c": 1}, "b": {"c": 2}, "list": [{"c": 3}, {"c": 3}]}`)
			got, err := program.New(t.Context(), nil, input).Get(entry)
			if err != nil || got == nil || got.Value.Compare(ast.MustParseTerm(tt.want).Value) != 0 {
				t.Errorf("%v, %v, want %s", got, err, tt.want)
			}
		})
	}
}
