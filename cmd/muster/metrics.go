package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/muster-scim/muster/gateway"
)

// metricsPath is where the numbers are.
const metricsPath = "/metrics"

// scrapesAtOnce is how many may read the numbers at the same time: each asks the database.
const scrapesAtOnce = 4

// A metricsFace tells Prometheus how the server does. It is of an address of its own, so
// that only who may reach that can read it: nobody has to show anything.
type metricsFace struct {
	listener net.Listener
	server   *http.Server
}

// listenMetrics binds the address of the metrics, if there is one.
func (p *program) listenMetrics(ctx context.Context, c config) (err error) {
	if c.Metrics == "" {
		return nil
	}
	var l net.ListenConfig
	if p.metrics.listener, err = l.Listen(ctx, "tcp", c.Metrics); err != nil {
		return fmt.Errorf("the metrics cannot be served; choose another address with --metrics: %w", err)
	}
	p.metrics.listener = limitConnections(p.metrics.listener, c.MaxConnections)
	return nil
}

// prepareMetrics makes what serves the metrics, once there is what they are of.
func (p *program) prepareMetrics(c config) error {
	if p.metrics.listener == nil {
		return nil
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "muster_build_info", Help: "Always 1. The labels are the versions of the program and of Go, and the kind of database.",
		ConstLabels: prometheus.Labels{"version": programVersion(), "go_version": runtime.Version(), "database": c.dialect()},
	}, func() float64 { return 1 })
	registry := prometheus.NewRegistry()
	for _, of := range []prometheus.Collector{
		build, p.core.Collector(), p.store.Collector(), p.delivery.Collector(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(of); err != nil {
			return fmt.Errorf("preparing the metrics: %w", err)
		}
	}
	log := slog.NewLogLogger(p.log.Handler(), slog.LevelWarn)
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: log, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesAtOnce,
	}))
	p.metrics.server = gateway.Server(c.Metrics, mux)
	p.metrics.server.ErrorLog = log
	return nil
}

// metricsTLS tells whether the metrics are served over TLS: where the other addresses
// are, but for loopback, which is for who looks from the machine itself.
func (p *program) metricsTLS() bool {
	return p.keys != nil && !isLoopback(p.metrics.listener)
}

// metricsURL is where the metrics are; empty: nowhere.
func (p *program) metricsURL() string {
	if p.metrics.listener == nil {
		return ""
	}
	scheme := "http"
	if p.metricsTLS() {
		scheme = "https"
	}
	return scheme + "://" + p.metrics.listener.Addr().String() + metricsPath
}

// serveMetrics serves the metrics until they are closed.
func (p *program) serveMetrics() error {
	if !p.metricsTLS() {
		return p.metrics.server.Serve(p.metrics.listener)
	}
	p.metrics.server.TLSConfig = p.keys.Server("h2", "http/1.1")
	return p.metrics.server.ServeTLS(p.metrics.listener, "", "")
}

func isLoopback(l net.Listener) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
