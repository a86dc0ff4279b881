package test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// guideCommand is a command of a guide, set in by four blanks; a backslash at the
// end of a line continues it.
var guideCommand = regexp.MustCompile(`(?m)^    ((?:export|curl|sed|bin/muster)\b(?:.*\\\n)*.*)$`)

// The example of docs/schemas.md works as it is written, in one shell. Only the
// addresses are those of the server under test.
func TestSchemasGuide(t *testing.T) {
	p := start(t, sqliteURL(t))
	data, err := os.ReadFile("../docs/schemas.md")
	if err != nil {
		t.Fatal(err)
	}
	script := "bin/muster() { case $1 in schema) " + binary + ` "$@" --grpc ` + p.grpc + ";; *) " + binary + ` "$@";; esac; }` + "\n"
	commands := guideCommand.FindAllStringSubmatch(string(data), -1)
	for _, m := range commands {
		script += strings.ReplaceAll(m[1], "http://127.0.0.1:8080/scim/v2", p.base) + "\necho \" [$?]\"\n"
	}
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir, cmd.Env = "..", command(p.database).Env
	cmd.Env = append(cmd.Env, "TOKEN="+token)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{
		" [0]",
		"registered: 1 schemas, 1 resource types\n [0]",
		"urn:example:schemas:extension:badge:2.0:User",
		`"name":"Badge"`,
		`"userName":"grace@example.com","urn:example:schemas:extension:badge:2.0:User":{"color":"red","level":3,"number":"G-1"}`,
		`"totalResults":1`,
		`"scimType":"uniqueness"`,
		`color is one of: red, green`,
		"muster: the stored User",
		"muster: the stored User",
		"registered: 11 schemas, 2 resource types\n [0]",
		`"displayName":"Lamp"`,
		`"totalResults":1`,
	}
	said := regexp.MustCompile(`(?s)(.*?) \[\d+\]\n`).FindAllString(string(out), -1)
	if len(commands) != len(want) || len(said) != len(want) {
		t.Fatalf("the guide has %d commands, which said %d things; this test knows %d\n%s", len(commands), len(said), len(want), out)
	}
	for i := range want {
		if !strings.Contains(said[i], want[i]) {
			t.Errorf("%s\nsays %q,\nwant %q", commands[i][1], said[i], want[i])
		}
	}
}
