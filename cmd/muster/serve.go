package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/muster-scim/muster/console"
	"github.com/muster-scim/muster/events"
	"github.com/muster-scim/muster/gateway"
	"github.com/muster-scim/muster/oauth"
	"github.com/muster-scim/muster/reference"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
	"github.com/muster-scim/muster/transport"
)

// How long serve waits for requests under way when it is told to stop.
const drainTime = 20 * time.Second

// How much memory Go may use before its collector works harder (GOMEMLIMIT), and
// how seldom it collects below that (GOGC). What lives from one request to the
// next is small, so collecting seldom costs little memory and saves a tenth of
// the work; the limit keeps the server small under bursts of large answers.
const (
	softMemoryLimit = 80 << 20
	collectPercent  = 400
)

// How long a recording is kept after its end: it holds what clients say of people.
const recordingsRetention = 30 * 24 * time.Hour

// How long it is remembered that a token was revoked, to tell operators why a client
// that still shows it is refused.
const revokedRetention = 90 * 24 * time.Hour

const serveHelp = `Serve SCIM over REST and gRPC until told to stop by SIGTERM or Ctrl-C; requests
under way are finished first.

At the first start on an empty database it makes the tenant "default" with one
bearer token, and prints the token: it is kept only as a hash and never shown
again. MUSTER_BOOTSTRAP_TOKEN sets that token instead, for scripts.

Without --database it keeps everything in one file in the --data folder, and
brings that file's schema up to date by itself. With PostgreSQL, run
` + "`muster migrate`" + ` first.

With --schemas it registers, for all tenants, the SCIM schemas and resource types
of every *.json file in a folder before it listens. Files that have not changed
change nothing; files that do not fit the stored data stop the start. What a file
had stays registered when the file is gone: ` + "`muster schema remove`" + ` removes it.

With --tls-cert and --tls-key both addresses speak TLS (1.2 or newer) and HTTP/2.
The files are read again when they change. Without them it serves plain text, and
only to its own machine: listen on loopback behind a proxy that speaks TLS, and
tell the public address with --base-url; or allow it with --plaintext.

With --metrics it tells Prometheus how it does, at /metrics of an address of its own,
to everybody who can reach that: numbers, and no names. On loopback that address
speaks plain text in any case, elsewhere as the others do.

With --grpc-client-ca a gRPC client may show a certificate instead of a token; the
credential of kind certificate says what it may do.`

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{ //nolint:gosec // the password is called PASSWORD
		Use:   "serve",
		Short: "Run the server",
		Long:  serveHelp,
		Example: `  muster serve
  muster serve --data /var/lib/muster --base-url https://scim.example.com/scim/v2
  muster serve --http :443 --grpc :9090 --tls-cert tls.crt --tls-key tls.key
  muster serve --metrics 127.0.0.1:9464
  MUSTER_DATABASE=postgres://muster:PASSWORD@db/muster muster serve`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			log, err := newLogger(cmd.ErrOrStderr(), c.LogLevel, c.LogFormat)
			if err != nil {
				return err
			}
			slog.SetDefault(log) // for what libraries have to say
			p, err := openProgram(cmd.Context(), c, log, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			return p.run(cmd.Context())
		},
	}
	addSettings(cmd)
	return cmd
}

// program is a server with its doors open: the database is ready and the
// addresses are bound, so that a client may connect before run is called.
type program struct {
	log        *slog.Logger
	store      *store.Store
	core       *server.Server
	face       *http.Server
	http, grpc net.Listener
	metrics    metricsFace
	upkeep     []upkeep
	delivery   *events.Delivery
	keys       *transport.Keys // nil: plain text
}

// openProgram prepares everything that can fail, and tells the operator on out
// what to type into the provisioning client. The caller must call run.
func openProgram(ctx context.Context, c config, log *slog.Logger, out io.Writer) (p *program, err error) {
	limitMemory()
	opening := &program{log: log}
	p = opening
	var token string
	defer func() {
		if err == nil {
			return
		}
		opening.close()
		if token != "" { // it is made, and this is the only time to tell it
			fmt.Fprintf(out, "Bearer token:  %s\n", token)
		}
	}()
	if err = p.openKeys(c); err != nil {
		return nil, err
	}
	if p.store, err = openStore(ctx, c); err != nil {
		return nil, err
	}
	if err = p.prepareSchema(ctx, c); err != nil {
		return nil, err
	}
	if err = p.listen(ctx, c); err != nil {
		return nil, err
	}
	if token, err = p.bootstrap(ctx); err != nil {
		return nil, err
	}
	if err = p.registerSchemas(ctx, c.Schemas); err != nil {
		return nil, err
	}
	p.upkeep = p.upkeeps(c)
	preview, err := c.preview()
	if err != nil {
		return nil, err
	}
	tokens := p.tokensOf(c)
	p.delivery = p.deliveryOf(c, tokens)
	p.core = server.New(p.store, server.Options{Tokens: tokens, Log: log, Preview: preview, TLS: p.grpcTLS(c), Proxies: c.proxies, AuditReads: c.AuditReads, Limits: c.Limits, Sessions: c.Sessions,
		Activity: server.Activity{Off: c.ActivityRetention == 0, Bodies: c.ActivityBodies}})
	if err = p.openFace(c); err != nil { //nolint:contextcheck // it outlives the start
		return nil, err
	}
	if err = p.prepareMetrics(c); err != nil {
		return nil, err
	}
	return p, p.announce(ctx, c, token, out)
}

// openFace makes what answers over HTTP, once there is the core that it asks.
func (p *program) openFace(c config) error {
	documents, err := c.documents()
	if err != nil {
		return err
	}
	handler, err := gateway.New(p.core.Conn(), gateway.Options{BaseURL: c.BaseURL, Proxies: c.proxies, Limits: c.Sizes, Pages: documents, Log: p.log})
	if err != nil {
		return err
	}
	authorization := oauth.New(p.store, oauthOptions(c, p.core, p.log))
	pages, err := console.New(p.core.ConsoleConn(), consoleOptions(c, p.log))
	if err != nil {
		return err
	}
	p.face = gateway.Server(c.HTTP, pages.Before(authorization.Before(handler)))
	p.face.RegisterOnShutdown(pages.EndStreams)
	p.face.RegisterOnShutdown(p.core.EndWaits)
	p.face.ErrorLog = slog.NewLogLogger(p.log.Handler(), slog.LevelInfo) // mostly handshakes that failed
	return nil
}

// documents are what describes the program to everybody.
func (c *config) documents() (map[string]gateway.Page, error) {
	opts := reference.Options{Version: programVersion(), Limits: c.Sizes}
	if c.BaseURL != "" {
		opts.Origin = oauth.IssuerOf(c.BaseURL)
	}
	return reference.Pages(opts)
}

// upkeeps are the work that a server does from time to time.
func (p *program) upkeeps(c config) []upkeep {
	return []upkeep{
		// So that whoever reads them first after a large load does not wait for all.
		{"putting changes in order", time.Second, p.store.SequenceChanges},
		{"gathering statistics", 10 * time.Second, p.store.AnalyzeGrown},
		{"removing old changes", 10 * time.Minute, func(ctx context.Context) error {
			_, err := p.store.RemoveChanges(ctx, store.Retention{Age: c.ChangesRetention, Count: int64(c.ChangesMax), Bytes: c.ChangesMaxBytes})
			return err
		}},
		{"sealing the audit log", time.Second, untilNone(p.store.SealAudit)},
		{"removing old audit events", time.Hour, untilNone(func(ctx context.Context) (int, error) {
			return p.store.TrimAudit(ctx, c.AuditRetention)
		})},
		{"looking for recordings", time.Second, func(ctx context.Context) error { return p.core.RefreshRecordings(ctx) }},
		{"removing old recordings", time.Hour, func(ctx context.Context) error {
			return p.store.RemoveRecordings(ctx, time.Now().Add(-recordingsRetention))
		}},
		{"removing old exchanges", time.Minute, untilNone(func(ctx context.Context) (int, error) {
			return p.store.TrimExchanges(ctx, time.Now().Add(-c.ActivityRetention), c.ActivityMax)
		})},
		{"removing old traffic", time.Hour, func(ctx context.Context) error {
			return p.store.RemoveTraffic(ctx, time.Now().Add(-c.TrafficRetention))
		}},
		{"forgetting tokens that were revoked long ago", time.Hour, func(ctx context.Context) error {
			return p.store.RemoveRevokedTokens(ctx, time.Now().Add(-revokedRetention))
		}},
		{"deleting the tenants whose deletion was interrupted", 10 * time.Second, func(ctx context.Context) error {
			names, err := p.store.FinishDeletions(ctx)
			if len(names) > 0 {
				p.log.Info("deleted", "tenants", names)
			}
			return err
		}},
		{"removing old signing keys", time.Hour, p.removeSigningKeys},
		{"removing expired tokens", time.Minute, untilNone(p.store.RemoveExpiredTokens)},
		{"removing sessions that have ended", time.Minute, func(ctx context.Context) error {
			return p.store.RemoveEndedSessions(ctx, p.core.SessionIdle())
		}},
	}
}

// limitMemory sets these, unless the operator does.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemoryLimit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectPercent)
	}
}

// prepareSchema migrates the embedded database, and refuses any other whose
// schema this program does not know.
func (p *program) prepareSchema(ctx context.Context, c config) error {
	if c.dialect() != "sqlite" {
		return p.store.CheckSchema(ctx)
	}
	n, err := p.store.Migrate(ctx)
	if err != nil {
		return fmt.Errorf("migrating the embedded database: %w", err)
	}
	if n > 0 {
		p.log.Info("migrated the embedded database", "migrations", n)
	}
	return p.store.CheckSchema(ctx)
}

// bootstrap makes the first tenant and its credential on an empty database, and
// returns the token to show: empty where there was nothing to make.
func (p *program) bootstrap(ctx context.Context) (token string, err error) {
	const variable = "MUSTER_BOOTSTRAP_TOKEN"
	token, show := strings.TrimSpace(os.Getenv(variable)), "as "+variable+" says"
	if token == "" {
		token = server.NewToken()
		show = token + "   (shown this once)"
	} else if len(token) < 20 {
		p.log.Warn(variable + " is short: use a random text of at least 20 characters where others can reach the server")
	}
	created, err := p.store.Bootstrap(starting(ctx, "muster serve/Bootstrap", 0), server.DefaultTenant, "bootstrap", server.HashToken(token))
	if err != nil {
		return "", fmt.Errorf("making the first tenant: %w", err)
	}
	if !created {
		return "", nil
	}
	return show, nil
}

// starting is a context for what the program writes when it starts, which the audit log
// has as done by whoever started it.
func starting(ctx context.Context, method string, tenant int64) context.Context {
	return store.Acting(ctx, &store.Act{Method: method, TenantID: tenant, Client: "muster serve", Operator: userName()})
}

// registerSchemas registers for all tenants what the files of the folder have. Of
// several servers that start at once one does, and the others find it done.
func (p *program) registerSchemas(ctx context.Context, folder string) error {
	if folder == "" {
		return nil
	}
	schemas, types, err := readSchemaFolder(folder)
	if err != nil {
		return fmt.Errorf("reading the schemas of %s: %w", folder, err)
	}
	tenant, err := p.store.Tenant(ctx, server.DefaultTenant)
	if err != nil {
		return err
	}
	ctx = starting(ctx, "muster.v1.RegistryService/Register", tenant.ID())
	if err := tenant.Register(ctx, true, schemas, types); err != nil {
		return fmt.Errorf("registering the schemas of %s: %w; nothing of them is registered: correct the files, or start without --schemas", folder, err)
	}
	p.log.Info("registered", "folder", folder, "schemas", len(schemas), "resource types", len(types))
	return nil
}

// listen binds the addresses.
func (p *program) listen(ctx context.Context, c config) (err error) {
	var l net.ListenConfig
	if p.http, err = l.Listen(ctx, "tcp", c.HTTP); err != nil {
		return fmt.Errorf("the REST face cannot listen; choose another address with --http: %w", err)
	}
	if p.grpc, err = l.Listen(ctx, "tcp", c.GRPC); err != nil {
		return fmt.Errorf("the gRPC server cannot listen; choose another address with --grpc: %w", err)
	}
	if err = p.listenMetrics(ctx, c); err != nil {
		return err
	}
	p.http, p.grpc = limitConnections(p.http, c.MaxConnections), limitConnections(p.grpc, c.MaxConnections)
	return p.checkPlaintext(c)
}

// firstLink makes the link by which the first administrator signs in to the console, at
// the first start; it returns its secret.
func (p *program) firstLink(ctx context.Context, first bool) (secret string, err error) {
	if !first {
		return "", nil
	}
	tenant, err := p.store.Tenant(ctx, server.DefaultTenant)
	if err != nil {
		return "", err
	}
	secret = server.NewLoginSecret()
	link := store.LoginLink{Operator: cmp.Or(userName(), "administrator"), Role: store.RoleAdministrator, Expires: time.Now().Add(server.MaxLinkTime)}
	return secret, tenant.AddLoginLink(starting(ctx, "muster serve/CreateLoginLink", tenant.ID()), link, server.HashToken(secret))
}

// announce prints what an administrator needs.
func (p *program) announce(ctx context.Context, c config, token string, out io.Writer) error {
	link, err := p.firstLink(ctx, token != "")
	if err != nil {
		return err
	}
	base := p.base(c)
	if token != "" {
		token = "Bearer token:  " + token + "\n"
	}
	console := consoleURL(base, "")
	if link != "" {
		console = loginURL(base, link) + "   (good once, for 15 minutes)"
	}
	metrics := p.metricsURL()
	if metrics != "" {
		metrics = "Metrics:       " + metrics + "\n"
	}
	_, err = fmt.Fprintf(out, "SCIM Base URL: %s\n%sConsole:       %s\ngRPC address:  %s\n%s", base, token, console, p.grpc.Addr(), metrics)
	return err
}

// run serves until ctx ends, then drains: the REST face first, since its
// requests need the core, then gRPC, then the database. An error means that a
// listener failed or requests had to be cut off.
func (p *program) run(ctx context.Context) error {
	defer p.close()
	p.log.Info("serving", "version", programVersion(), "http", p.http.Addr().String(), "grpc", p.grpc.Addr().String(), "tls", p.keys != nil)
	group, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	group.Go(func() error {
		if err := p.serveFace(); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("the REST face stopped: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		if err := p.core.Serve(p.grpc); err != nil {
			return fmt.Errorf("the gRPC server stopped: %w", err)
		}
		return nil
	})
	if p.metrics.server != nil {
		group.Go(func() error {
			if err := p.serveMetrics(); !errors.Is(err, http.ErrServerClosed) {
				p.log.Error("the metrics are served no more", "error", err) // which is no reason to end the rest
			}
			return nil
		})
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	for _, u := range p.upkeep {
		group.Go(func() error { u.run(serving, p.log); return nil })
	}
	group.Go(func() error { p.delivery.Run(serving); return nil })
	if p.keys != nil {
		group.Go(func() error { p.keys.Watch(serving, rereadEvery); return nil })
	}
	select {
	case <-ctx.Done():
	case <-failed.Done():
	}
	stop() // a listener that failed ends the rest too
	return errors.Join(p.drain(context.WithoutCancel(ctx)), group.Wait())
}

func (p *program) drain(ctx context.Context) error {
	p.log.Info("stopping: finishing the requests under way", "at most", drainTime.String())
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	err := errors.Join(p.face.Shutdown(ctx), p.core.Shutdown(ctx))
	if p.metrics.server != nil { // the last to go: until then they tell how it stops
		_ = p.metrics.server.Close()
	}
	if err != nil {
		return fmt.Errorf("not all requests could be finished: %w", err)
	}
	p.log.Info("stopped")
	return nil
}

// close gives back whatever was opened.
func (p *program) close() {
	for _, l := range []net.Listener{p.http, p.grpc, p.metrics.listener} {
		if l != nil {
			_ = l.Close() // already closed where it was served
		}
	}
	if p.store == nil {
		return
	}
	if err := p.store.Close(); err != nil {
		p.log.Error("closing the database", "error", err)
	}
}
