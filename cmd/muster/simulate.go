package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/muster-scim/muster/simulate"
	"github.com/muster-scim/muster/transport"
)

func simulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Play what a provisioning client sends, against any SCIM server",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(simulateCyberArkCommand(), simulateReplayCommand())
	return cmd
}

func simulateCyberArkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cyberark",
		Short: "Play a provisioning run of CyberArk Identity",
		Long: `Play a provisioning run against a SCIM base URL: verify, sync users and groups,
update, rename, disable, delete, and some accidents; once in each of the media
types that clients send. What it makes has names of its own and is deleted at
the end, so it may run against a server in use, and again.

The other ways to authorize that CyberArk Identity has are played where their
credentials are given; each is also read from the environment (MUSTER_BASIC and so
on), which keeps it out of the list of processes.

The script is built to the list of endpoints that CyberArk publishes. It is not
a capture of CyberArk Identity.

The exit code is 1 if anything failed.`,
		Example: `  muster simulate cyberark --url https://scim.example.com/scim/v2 --token TOKEN
  MUSTER_TOKEN=TOKEN muster simulate cyberark --url http://127.0.0.1:8080/scim/v2 --json`,
		Args: cobra.NoArgs,
		RunE: runSimulateCyberArk,
	}
	addSimulate(cmd)
	flags := cmd.Flags()
	flags.String("token2", "", "a second bearer token of the same tenant, valid at the same time")
	flags.String("basic", "", "LOGIN:PASSWORD for Basic authorization")
	flags.String("direct", "", "an Authorization header as it is, such as a bare token")
	flags.String("oauth", "", "CLIENT_ID:CLIENT_SECRET for OAuth 2.0 (client credentials)")
	flags.String("token-url", "", "token endpoint for --oauth; without it, /oauth2/token of the server")
	flags.String("revoked", "", "a bearer token that was revoked: it must be refused")
	flags.String("limited", "", "a bearer token with which few requests are admitted: it must meet a 429")
	return cmd
}

// addSimulate gives a command the flags of simulated.
func addSimulate(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.String("url", "http://127.0.0.1:8080/scim/v2", "SCIM base URL (or MUSTER_URL)")
	flags.String("token", "", "bearer token (or MUSTER_TOKEN, which keeps it out of the list of processes)")
	addCA(cmd)
	flags.Bool("json", false, "print the report as JSON")
}

func simulateReplayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Play a recording that `muster recording export` wrote",
		Long: `Play a recording against a SCIM base URL, one exchange after another. Ids, versions
and cursors that the recorded server made are replaced by those of this server. The
statuses are compared, and of the bodies what does not differ from server to server.

What the recording leaves behind stays: play it against a server for tests. Where its
attributes were redacted, placeholders are sent.

The exit code is 1 if anything failed.`,
		Example: "  muster simulate replay cyberark.yaml --url http://127.0.0.1:8080/scim/v2 --token TOKEN",
		Args:    cobra.ExactArgs(1),
		RunE:    runSimulateReplay,
	}
	addSimulate(cmd)
	return cmd
}

func runSimulateReplay(cmd *cobra.Command, args []string) error {
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	recorded, err := simulate.ReadCase(file)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return simulated(cmd, func(o simulate.Options) (*simulate.Report, error) {
		return simulate.Replay(cmd.Context(), recorded, o)
	})
}

func runSimulateCyberArk(cmd *cobra.Command, _ []string) error {
	return simulated(cmd, func(o simulate.Options) (*simulate.Report, error) {
		if err := authorizations(cmd, &o); err != nil {
			return nil, err
		}
		return simulate.CyberArk(cmd.Context(), o)
	})
}

// authorizations reads the flags of the other ways to authorize.
func authorizations(cmd *cobra.Command, o *simulate.Options) error {
	v, err := newViper(cmd.Flags())
	if err != nil {
		return err
	}
	bearer := func(name string) string {
		if token := v.GetString(name); token != "" {
			return "Bearer " + token
		}
		return ""
	}
	basic := v.GetString("basic")
	if basic != "" {
		if !strings.Contains(basic, ":") {
			return errors.New("basic is not LOGIN:PASSWORD")
		}
		basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(basic))
	}
	access, err := accessToken(cmd.Context(), v, o)
	if err != nil {
		return err
	}
	o.Others = []simulate.Authorization{
		{Name: "Bearer, another token", Header: bearer("token2")},
		{Name: "Basic", Header: basic},
		{Name: "Direct", Header: v.GetString("direct")},
		{Name: "OAuth 2.0", Header: access},
	}
	o.Revoked, o.Limited = bearer("revoked"), bearer("limited")
	return nil
}

// accessToken gets an access token by the client credentials grant (RFC 6749 section
// 4.4), and returns the Authorization header with it; "" where there is no client.
func accessToken(ctx context.Context, v *viper.Viper, o *simulate.Options) (string, error) {
	client := v.GetString("oauth")
	if client == "" {
		return "", nil
	}
	id, secret, ok := strings.Cut(client, ":")
	if !ok {
		return "", errors.New("oauth is not CLIENT_ID:CLIENT_SECRET")
	}
	at := v.GetString("token-url")
	if at == "" {
		at = strings.TrimSuffix(strings.TrimRight(o.URL, "/"), "/scim/v2") + "/oauth2/token"
	}
	config := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: at, Scopes: []string{"scim"}}
	caller := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS.Clone()}, Timeout: 30 * time.Second}
	token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, caller))
	if err != nil {
		return "", fmt.Errorf("getting an access token at %s: %w", at, err)
	}
	return "Bearer " + token.AccessToken, nil
}

// simulated plays, and prints the report.
func simulated(cmd *cobra.Command, play func(simulate.Options) (*simulate.Report, error)) error {
	v, err := newViper(cmd.Flags())
	if err != nil {
		return err
	}
	secured, err := transport.Client(v.GetString("ca"), "", "")
	if err != nil {
		return err
	}
	report, err := play(simulate.Options{URL: v.GetString("url"), Token: v.GetString("token"), TLS: secured})
	if err != nil {
		return err
	}
	write := report.WriteTable
	if v.GetBool("json") {
		write = report.WriteJSON
	}
	if err := write(cmd.OutOrStdout()); err != nil {
		return err
	}
	if !report.OK() {
		return errFailed
	}
	return nil
}
