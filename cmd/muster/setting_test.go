package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-scim/muster/scim"
)

// load finds the settings as a command with these arguments does.
func load(t *testing.T, args ...string) (config, error) {
	t.Helper()
	cmd := &cobra.Command{}
	addSettings(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return loadConfig(cmd.Flags())
}

// typed is a setting of each type that there is, and where they go.
type typed struct {
	yes   bool
	wait  time.Duration
	whole int
	part  float64
	bytes int64
}

func (v *typed) settings() []setting {
	return []setting{
		{"yes", "false", "", func(*config) *bool { return &v.yes }},
		{"wait", "1m0s", "", func(*config) *time.Duration { return &v.wait }},
		{"whole", "5", "", integer{func(*config) *int { return &v.whole }, 1, 10}},
		{"part", "2.5", "", number{func(*config) *float64 { return &v.part }, 0, 10}},
		{"bytes", "1GiB", "", size{func(*config) *int64 { return &v.bytes }}},
	}
}

func TestSettings_TextsAreReadByTheirType(t *testing.T) {
	var v typed
	all := v.settings()
	for i, text := range []string{"true", "90s", "10", "0.25", "1.5 MiB"} {
		if err := all[i].set(&config{}, text); err != nil {
			t.Error(err)
		}
	}
	if want := (typed{true, 90 * time.Second, 10, 0.25, 3 << 19}); v != want {
		t.Errorf("read %+v, want %+v", v, want)
	}
	if err := all[1].set(&config{}, "400d"); err != nil || v.wait != 400*24*time.Hour {
		t.Errorf("400d is %s, %v", v.wait, err)
	}
	for _, s := range all {
		before := s.text(&config{})
		if err := s.set(&config{}, before); err != nil || s.text(&config{}) != before {
			t.Errorf("%s: %q is read back as %q, %v", s.name, before, s.text(&config{}), err)
		}
		if err := s.set(&config{}, s.value); err != nil || s.text(&config{}) != s.value {
			t.Errorf("%s: the default %q is written %q, %v", s.name, s.value, s.text(&config{}), err)
		}
	}
}

func TestSettings_WhatCannotBeIsAnErrorThatSaysWhatCan(t *testing.T) {
	all := new(typed).settings()
	for _, c := range []struct {
		at         int
		text, want string
	}{
		{0, "perhaps", `yes is "perhaps"; use true or false`},
		{1, "5", `wait is "5"; use a duration such as 30s, 10m, 24h or 90d`},
		{1, "-5s", `wait is "-5s"; use a duration such as 30s, 10m, 24h or 90d`},
		{4, "much", `bytes is "much"; use a number of bytes, such as 1GiB or 500MB`},
		{4, "-1", `bytes is "-1"; use a number of bytes, such as 1GiB or 500MB`},
		{2, "0", `whole is "0"; use a whole number from 1 to 10`},
		{2, "11", `whole is "11"; use a whole number from 1 to 10`},
		{2, "2.5", `whole is "2.5"; use a whole number from 1 to 10`},
		{3, "NaN", `part is "NaN"; use a number from 0 to 10`},
		{3, "ten", `part is "ten"; use a number from 0 to 10`},
	} {
		if err := all[c.at].set(&config{}, c.text); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestConfig_WhatIsWrittenIsReadBack(t *testing.T) {
	c, err := load(t, "--log-level", "warn")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.write(&out); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "muster.yaml")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := load(t, "--config", path)
	if err != nil || !reflect.DeepEqual(again, c) || again.LogLevel != "warn" {
		t.Errorf("read back: %+v, %v; want %+v", again, err, c)
	}
}

func TestConfig_EachDefaultFitsItsSetting(t *testing.T) {
	for _, s := range settings {
		var c config
		if err := s.set(&c, s.value); err != nil {
			t.Errorf("the default of %s: %v", s.name, err)
		}
		if s.text(&c) != s.value {
			t.Errorf("the default of %s is %q and would be written %q", s.name, s.value, s.text(&c))
		}
		if strings.ToLower(s.name) != s.name || s.help == "" {
			t.Errorf("the setting %q has no help, or a name that is no flag", s.name)
		}
	}
}

func TestConfig_TheDefaultLimitsAreThoseOfTheRules(t *testing.T) {
	c, err := load(t)
	if err != nil || c.Sizes != scim.DefaultLimits() {
		t.Errorf("the limits are %+v, %v; want %+v", c.Sizes, err, scim.DefaultLimits())
	}
	if least := 25.0; c.Limits.Tenant.PerSecond < least || c.Limits.Credential.PerSecond < least {
		t.Errorf("fewer than %v requests a second are admitted: %+v", least, c.Limits)
	}
}
