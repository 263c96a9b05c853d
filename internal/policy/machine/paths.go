package machine

import "github.com/open-policy-agent/opa/v1/ast"

// The paths that every program has: the documents themselves. somewhereInData is
// none: it stands for a place in data that depends on the question.
const (
	somewhereInData = iota - 1
	inputPath
	dataPath
)

// paths are the constant paths into input and data that a program looks up, such
// as input.subject.type. A few dozen serve hundreds of look-ups.
type paths struct {
	list []path
}

// path is a name in what another path leads to.
type path struct {
	parent int
	name   *ast.Term
	inData bool
}

func newPaths() paths {
	p := paths{list: make([]path, dataPath+1)}
	p.list[dataPath].inData = true
	return p
}

// inData reports whether a path leads into data.
func (p *paths) inData(i int) bool { return i == somewhereInData || p.list[i].inData }

// child returns the path to a name below parent.
func (p *paths) child(parent int, name *ast.Term) int {
	for i, known := range p.list {
		if i > dataPath && known.parent == parent && equal(known.name, name) {
			return i
		}
	}
	p.list = append(p.list, path{parent, name, p.inData(parent)})
	return len(p.list) - 1
}

// resolve returns what is known of all paths before there is an input: those into
// data.
func (p *paths) resolve(data *ast.Term) []memo {
	out := make([]memo, len(p.list))
	out[dataPath] = memo{done: true, value: data}
	for i := dataPath + 1; i < len(p.list); i++ { // a parent comes before its children
		if parent := out[p.list[i].parent]; parent.done {
			out[i] = memo{done: true, value: lookupData(parent.value, p.list[i].name)}
		}
	}
	return out
}
