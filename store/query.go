package store

import (
	"encoding/json"
	"strconv"
	"strings"
)

// dialect is which SQL a database speaks.
type dialect uint8

const (
	sqlite dialect = iota
	postgres
)

// A statement is SQL text that grows, with the arguments of its placeholders.
// Both databases read $1, $2, … .
type statement struct {
	dialect dialect
	text    strings.Builder
	args    []any
}

// add appends parts: strings as they are, an arg as a placeholder, an in or numbers
// as a condition, a table as a table.
func (st *statement) add(parts ...any) *statement {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			st.text.WriteString(p)
		case arg:
			st.args = append(st.args, p.v)
			st.text.WriteByte('$')
			st.text.WriteString(strconv.Itoa(len(st.args)))
		case in:
			st.addIn(p)
		case numbers:
			st.addNumbers(p)
		case table:
			st.addTable(p)
		}
	}
	return st
}

// arg is a value in a statement, sent beside the text.
type arg struct{ v any }

// in is the condition that what stands before it is one of the values. They are
// one argument, so that the text is the same for any number of them.
type in []string

func (st *statement) addIn(values in) {
	if st.dialect == postgres {
		st.add(" = ANY(", arg{[]string(values)}, ")")
		return
	}
	st.add(" IN (SELECT value FROM json_each(", arg{jsonList(values)}, "))")
}

// numbers is the same condition for numbers.
type numbers []int64

func (st *statement) addNumbers(values numbers) {
	if st.dialect == postgres {
		st.add(" = ANY(", arg{[]int64(values)}, ")")
		return
	}
	st.add(" IN (SELECT value FROM json_each(", arg{jsonList(values)}, "))")
}

// table is the values as a table j with the one column value. Where a key has
// more columns, a join that begins with it finds each value by the whole key;
// with a condition, SQLite would rather read all rows that share the first.
type table []string

func (st *statement) addTable(values table) {
	if st.dialect == postgres {
		st.add("unnest(", arg{[]string(values)}, "::text[]) AS j (value)")
		return
	}
	st.add("json_each(", arg{jsonList(values)}, ") AS j")
}

func jsonList(values any) string {
	list, err := json.Marshal(values)
	if err != nil {
		panic(err) // a list of strings or numbers has a JSON form
	}
	return string(list)
}
