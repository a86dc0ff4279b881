package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/muster-scim/muster/events"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/transport"
)

// config is what the operator decides. Each setting is a flag, an environment
// variable (MUSTER_ and the name in capitals, "-" as "_") and a key of the YAML
// file; the first of the three that has it wins.
type config struct {
	Data      string
	Database  string
	Schemas   string
	HTTP      string
	GRPC      string
	Metrics   string
	BaseURL   string
	LogLevel  string
	LogFormat string

	ChangesRetention time.Duration
	ChangesMax       int
	ChangesMaxBytes  int64

	AuditReads     bool
	AuditRetention time.Duration

	ActivityRetention time.Duration
	ActivityMax       int
	ActivityBodies    int
	TrafficRetention  time.Duration

	TLSCert, TLSKey              string
	GRPCClientCA, GRPCClientCert string
	Plaintext                    bool
	TrustedProxies               string
	proxies                      transport.Proxies // the same, understood

	Events         events.Options
	Sessions       server.Sessions
	OIDCSecretFile string

	Preview        server.Preview
	Limits         server.Limits
	Sizes          scim.Limits
	MaxConnections int
}

// setting describes one setting, once for all three places: its name, its default
// and what help says of it.
type setting struct {
	name, value, help string
	// field is where it goes: a func(*config) *string, *bool or *time.Duration, or an
	// integer, number or size.
	field any
}

// settings lists all settings, in the order in which people read them.
var settings = slices.Concat([]setting{
	{"data", "./data", "folder of the embedded database; made if missing", func(c *config) *string { return &c.Data }},
	{"database", "", "database, instead of --data: postgres://USER:PASSWORD@HOST/NAME or sqlite://PATH", func(c *config) *string { return &c.Database }},
	{"schemas", "", "folder of *.json files with SCIM schemas and resource types, which are registered for all tenants", func(c *config) *string { return &c.Schemas }},
	{"http", "127.0.0.1:8080", "address of the SCIM REST face; port 0 takes a free one", func(c *config) *string { return &c.HTTP }},
	{"grpc", "127.0.0.1:9090", "address of the gRPC server; port 0 takes a free one", func(c *config) *string { return &c.GRPC }},
	{"metrics", "", "address at which Prometheus finds how the server does, at /metrics; port 0 takes a free one; without it there is none", func(c *config) *string { return &c.Metrics }},
	{"base-url", "", "public address of the SCIM base, such as https://scim.example.com/scim/v2; without it, the host the client asked for", func(c *config) *string { return &c.BaseURL }},
	{"changes-retention", "720h0m0s", "how long the change log is kept, which services follow; 0: for ever", func(c *config) *time.Duration { return &c.ChangesRetention }},
	{"changes-max", "0", "how many changes of a tenant are kept at most; 0: any number", integer{func(c *config) *int { return &c.ChangesMax }, 0, math.MaxInt}},
	{"changes-max-bytes", "0", "how large the change log of a tenant may be, such as 1GiB; 0: any size", size{func(c *config) *int64 { return &c.ChangesMaxBytes }}},
	{"audit-retention", "9600h0m0s", "how long the audit log is kept; 0: for ever", func(c *config) *time.Duration { return &c.AuditRetention }},
	{"audit-reads", "false", "record in the audit log what reads resources, too", func(c *config) *bool { return &c.AuditReads }},
	{"activity-retention", "168h0m0s", "how long it is kept what clients asked and were answered; 0: it is not kept", func(c *config) *time.Duration { return &c.ActivityRetention }},
	{"activity-max", "50000", "how many exchanges of a tenant are kept at most; 0: any number", integer{func(c *config) *int { return &c.ActivityMax }, 0, math.MaxInt}},
	{"activity-bodies", "10", "of how many exchanges of a tenant, each second, the bodies are kept beside those of errors; -1: no bodies at all", integer{func(c *config) *int { return &c.ActivityBodies }, -1, 1000}},
	{"traffic-retention", "336h0m0s", "how long the numbers of requests, errors and latencies of each minute are kept", func(c *config) *time.Duration { return &c.TrafficRetention }},
	{"tls-cert", "", "PEM file with the certificate of both addresses, and those that lead to its root; read again when it changes", func(c *config) *string { return &c.TLSCert }},
	{"tls-key", "", "PEM file with the private key of --tls-cert", func(c *config) *string { return &c.TLSKey }},
	{"grpc-client-ca", "", "PEM file with the certificates that client certificates of gRPC are verified by; read again when it changes", func(c *config) *string { return &c.GRPCClientCA }},
	{"grpc-client-cert", "optional", "whether a gRPC client must have a certificate: optional or required", func(c *config) *string { return &c.GRPCClientCert }},
	{"plaintext", "false", "listen without TLS where other machines can connect: tokens and all data can be read on the way", func(c *config) *bool { return &c.Plaintext }},
	{"trusted-proxies", "", "addresses and prefixes of the proxies whose X-Forwarded-For, -Proto and -Host are believed, separated by commas", func(c *config) *string { return &c.TrustedProxies }},
	{"log-level", "info", "debug, info, warn or error", func(c *config) *string { return &c.LogLevel }},
	{"log-format", "auto", "text, json, or auto: text on a terminal, JSON otherwise", func(c *config) *string { return &c.LogFormat }},
}, consoleSettings, eventSettings, previewSettings, limitSettings)

// addSettings gives a command the flags of the settings, or of only some, and
// --config.
func addSettings(cmd *cobra.Command, only ...string) {
	flags := cmd.Flags()
	flags.SortFlags = false
	for _, s := range settings {
		if len(only) == 0 || slices.Contains(only, s.name) {
			flag := flags.VarPF(&written{s.value, s.kind()}, s.name, "", s.help)
			if s.kind() == "bool" {
				flag.NoOptDefVal = "true" // --name alone
			}
		}
	}
	flags.String("config", "", "YAML file with these settings, named as the flags are")
}

// newViper reads flags and environment, in this order of precedence.
func newViper(flags *pflag.FlagSet) (*viper.Viper, error) {
	v := viper.New()
	v.SetEnvPrefix("MUSTER")
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	return v, v.BindPFlags(flags)
}

// loadConfig finds the effective settings of a command that has addSettings. A
// key in the file that means nothing is an error: it is a typing mistake, and
// the setting it should have been would silently keep its default.
func loadConfig(flags *pflag.FlagSet) (config, error) {
	var c config
	v, err := newViper(flags)
	if err != nil {
		return c, err
	}
	if path := v.GetString("config"); path != "" {
		v.SetConfigFile(path)
		v.SetConfigType("yaml")
		if err := v.ReadInConfig(); err != nil {
			return c, fmt.Errorf("the configuration file %s: %w", path, err)
		}
	}
	for _, key := range v.AllKeys() {
		known := func(s setting) bool { return s.name == key }
		if flags.Lookup(key) == nil && !slices.ContainsFunc(settings, known) {
			return c, fmt.Errorf("the configuration file has the unknown key %q; the keys are the names of the flags of `muster serve`", key)
		}
	}
	for _, s := range settings {
		v.SetDefault(s.name, s.value) // of those that are no flag of the command
		if err := s.set(&c, strings.TrimSpace(v.GetString(s.name))); err != nil {
			return c, err
		}
	}
	return c, c.check()
}

// check refuses settings that cannot work, before anything is opened.
func (c *config) check() error {
	if _, err := parseLevel(c.LogLevel); err != nil {
		return err
	}
	if !slices.Contains([]string{"auto", "text", "json"}, c.LogFormat) {
		return fmt.Errorf("log-format is %q; use auto, text or json", c.LogFormat)
	}
	if c.Database != "" && c.dialect() == "" {
		return fmt.Errorf("database is %q; give postgres://USER:PASSWORD@HOST/NAME or sqlite://PATH", redact(c.Database))
	}
	if c.Database == "" && c.Data == "" {
		return errors.New("give a folder with --data or a database with --database")
	}
	if c.BaseURL != "" {
		u, err := url.Parse(c.BaseURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("base-url is %q; give one such as https://scim.example.com/scim/v2", c.BaseURL)
		}
		c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	}
	if c.AuditRetention < 0 {
		return fmt.Errorf("audit-retention is %s; give a duration such as 400d, or 0 to keep all", c.AuditRetention)
	}
	return errors.Join(c.checkTransport(), c.checkConsole(), c.checkPreview(), c.checkEvents())
}

// databaseURL is what store.Open is given.
func (c *config) databaseURL() string {
	if c.Database != "" {
		return c.Database
	}
	return "sqlite://" + filepath.Join(c.Data, "muster.db")
}

// dialect is "sqlite" or "postgres", or empty where the URL names neither.
func (c *config) dialect() string {
	scheme, _, _ := strings.Cut(c.databaseURL(), "://")
	switch scheme {
	case "sqlite":
		return "sqlite"
	case "postgres", "postgresql":
		return "postgres"
	}
	return ""
}

// redact hides the passwords of a database URL.
func redact(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		return "(not shown: it is no URL)"
	}
	query := u.Query()
	for key := range query {
		if strings.Contains(strings.ToLower(key), "password") {
			query.Set(key, "xxxxx")
		}
	}
	u.RawQuery = query.Encode()
	return u.Redacted()
}

// write prints the settings as a YAML file that can be given to --config, less
// the secrets.
func (c *config) write(w io.Writer) error {
	for _, s := range settings {
		value := s.text(c)
		if s.name == "database" {
			value = redact(value)
		}
		if _, err := fmt.Fprintf(w, "%s: %q\n", s.name, value); err != nil {
			return err
		}
	}
	return nil
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the effective settings, without secrets",
		Long: `Print the settings that ` + "`muster serve`" + ` would use with the same flags,
environment and configuration file. A flag beats the environment, the
environment beats the file. Passwords are left out.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			return c.write(cmd.OutOrStdout())
		},
	}
	addSettings(cmd)
	return cmd
}
