package scim

import (
	"net/url"
	"slices"
	"strings"
)

// bulkIDPrefix begins a value that stands for the id of a resource which another
// operation of the same bulk request creates (RFC 7644 section 3.7.2).
const bulkIDPrefix = "bulkId:"

// BulkID tells whether an id stands for that of a resource which a bulk request
// creates, and which one: X in "bulkId:X".
func BulkID(id string) (bulkID string, ok bool) { return strings.CutPrefix(id, bulkIDPrefix) }

// SplitBulkPath splits the path of a bulk operation into the endpoint and, where
// there is one, the id of a resource: "/Users" and "x" of "/Users/x". It fails
// with NotFound where no path of ours has this form.
func SplitBulkPath(path string) (endpoint, id string, err error) {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part == "" {
			continue // the first, and what clients are known to double
		}
		text, err := url.PathUnescape(part)
		if err != nil || len(parts) == 2 {
			return "", "", noSuchPath(path)
		}
		parts = append(parts, text)
	}
	switch len(parts) {
	case 1:
		return "/" + parts[0], "", nil
	case 2:
		return "/" + parts[0], parts[1], nil
	}
	return "", "", noSuchPath(path)
}

func noSuchPath(path string) *Error {
	return Errorf(NotFound, "there is nothing at the path %.80q; it is the endpoint of a resource type, as /Users, or one resource of it", path)
}

// A BulkNode is what the place of one operation in a bulk request depends on.
type BulkNode struct {
	// Creates is the bulkId of what the operation creates, or "".
	Creates string
	// RefersTo are the bulkIds that it mentions.
	RefersTo []string
}

// OrderBulk puts the operations of a bulk request in an order in which each stands
// after those that create what it refers to, and otherwise where it was. Those that
// refer to each other in a circle (RFC 7644 section 3.7.1) stand together. A
// bulkId that nothing creates has no influence.
//
// An edge leads from an operation to what must come before it. Tarjan's algorithm
// finds the strongly connected components of such a graph, and each after those
// that it has edges to: which is the order we want.
func OrderBulk(nodes []BulkNode) [][]int {
	o := bulkOrder{nodes: nodes, creators: make(map[string]int), visited: make([]int, len(nodes)), low: make([]int, len(nodes)), open: make([]bool, len(nodes))}
	for i, n := range nodes {
		if _, taken := o.creators[n.Creates]; n.Creates != "" && !taken {
			o.creators[n.Creates] = i
		}
	}
	for i := range nodes {
		if o.visited[i] == 0 {
			o.visit(i)
		}
	}
	return o.components
}

// bulkOrder is the state of the algorithm.
type bulkOrder struct {
	nodes      []BulkNode
	creators   map[string]int // by bulkId
	time       int
	visited    []int // when; 0: not yet
	low        []int // the earliest open node that can be reached
	open       []bool
	stack      []int // the open nodes
	components [][]int
}

func (o *bulkOrder) visit(i int) {
	o.time++
	o.visited[i], o.low[i] = o.time, o.time
	o.open[i] = true
	height := len(o.stack)
	o.stack = append(o.stack, i)
	for _, id := range o.nodes[i].RefersTo {
		j, found := o.creators[id]
		if !found {
			continue
		}
		if o.visited[j] == 0 {
			o.visit(j)
		}
		if o.open[j] {
			o.low[i] = min(o.low[i], o.low[j])
		}
	}
	if o.low[i] < o.visited[i] {
		return // part of a component that began earlier
	}
	component := append([]int(nil), o.stack[height:]...)
	o.stack = o.stack[:height]
	for _, j := range component {
		o.open[j] = false
	}
	slices.Sort(component)
	o.components = append(o.components, component)
}
