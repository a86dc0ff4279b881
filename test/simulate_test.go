package test

import (
	"bytes"
	"context"
	"testing"

	"github.com/muster-scim/muster/simulate"
)

// The script of a CyberArk run, in both media types, passes whole, and again.
func TestSimulate_CyberArk(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		for range 2 {
			report, err := simulate.CyberArk(context.Background(), simulate.Options{URL: p.base, Token: token})
			if err != nil {
				t.Fatal(err)
			}
			if !report.OK() {
				var table bytes.Buffer
				if err := report.WriteTable(&table); err != nil {
					t.Fatal(err)
				}
				t.Errorf("%s", table.String())
			}
		}
	})
}

// The command tells by its exit code, and an administrator by its table.
func TestSimulate_Command(t *testing.T) {
	p := start(t, sqliteURL(t))
	if out, err := command(p.database, "simulate", "cyberark", "--url", p.base, "--token", token).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASSED")) {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err := command(p.database, "simulate", "cyberark", "--url", p.base, "--token", "wrong").CombinedOutput(); err == nil {
		t.Errorf("it passes with a wrong token:\n%s", out)
	}
}
