package test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/muster-scim/muster"

// The rooms of ARCHITECTURE.md: who may depend on whom, directly or not.
var rooms = map[string][]string{
	"scim":        {"gen"},
	"ent":         {},
	"store":       {"scim", "gen", "ent"},
	"events":      {"scim", "gen", "store", "ent"},                                  // ent through store
	"server":      {"scim", "gen", "store", "ent", "transport", "issuer", "events"}, // ent through store
	"gateway":     {"scim", "gen", "transport"},
	"console":     {"scim", "gen", "simulate"},
	"reference":   {"scim", "gen", "gateway", "transport"}, // transport through gateway
	"transport":   {},
	"client":      {"scim", "gen"},
	"issuer":      {},
	"oauth":       {"scim", "gen", "store", "server", "ent", "transport", "issuer", "events"}, // ent through store, transport, issuer and events through server
	"simulate":    {},
	"conformance": {},
	"cmd/muster":  {"scim", "gen", "ent", "store", "server", "gateway", "console", "oauth", "reference", "transport", "issuer", "events", "simulate", "conformance"},
}

func TestRooms(t *testing.T) {
	for room, may := range rooms {
		for _, dep := range dependencies(t, room) {
			rest, ours := strings.CutPrefix(dep, module+"/")
			if !ours || rest == room || strings.HasPrefix(rest, room+"/") {
				continue
			}
			if top, _, _ := strings.Cut(rest, "/"); !slices.Contains(may, top) {
				t.Errorf("%s depends on %s", room, rest)
			}
		}
	}
}

// The rules need no clock, log, network or gRPC of their own. What the protobuf
// runtime brings along is its own business, so these are direct imports.
func TestRooms_RulesAreHardlyDependent(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, module+"/scim").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		for _, not := range []string{"context", "log", "log/slog", "net", "net/http", "os", "sync", "google.golang.org/grpc", "database/sql"} {
			if pkg == not {
				t.Errorf("scim imports %s", pkg)
			}
		}
	}
}

func dependencies(t *testing.T, room string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", module+"/"+room).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}
