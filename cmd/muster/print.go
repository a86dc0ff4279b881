package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// addJSON gives a command the flag --json.
func addJSON(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON, in the names of the contract")
}

// messageJSON is a message as JSON, always in the same form.
func messageJSON(m proto.Message) (json.RawMessage, error) {
	data, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Compact(&out, data) // protojson varies its blanks on purpose
	return out.Bytes(), err
}

// printJSON prints one message.
func printJSON(w io.Writer, m proto.Message) error {
	data, err := messageJSON(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", data)
	return err
}

// printList prints messages as a list.
func printList[M proto.Message](w io.Writer, all []M) error {
	list := make([]json.RawMessage, len(all))
	for i, m := range all {
		data, err := messageJSON(m)
		if err != nil {
			return err
		}
		list[i] = data
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return out.Encode(list)
}

// printTable prints rows under their titles.
func printTable(w io.Writer, titles string, rows [][]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.ReplaceAll(titles, " | ", "\t"))
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

// printFacts prints names and values, one pair a line; no line for an empty value.
func printFacts(w io.Writer, facts [][2]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range facts {
		if f[1] != "" {
			fmt.Fprintf(table, "%s:\t%s\n", f[0], f[1])
		}
	}
	return table.Flush()
}

// word is the name of an enum's value without the prefix that all of them share:
// "suspended".
func word(e protoreflect.Enum) string {
	values := e.Descriptor().Values()
	v := values.ByNumber(e.Number())
	if v == nil {
		return fmt.Sprint(e.Number())
	}
	prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
}

// parseWord finds the value of an enum by such a word. what names it in the error.
func parseWord[E interface {
	~int32
	protoreflect.Enum
}](what, text string) (E, error) {
	values := E(0).Descriptor().Values()
	var words []string
	for i := 1; i < values.Len(); i++ { // the first is "unspecified"
		v := E(values.Get(i).Number())
		if words = append(words, word(v)); word(v) == text {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%s is %q; use %s", what, text, strings.Join(words, ", "))
}

// timeOf is the time that a message has; absent: zero.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
