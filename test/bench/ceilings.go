package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// ceilings are what net/http does with the same bytes and no work at all.
type ceilings struct {
	get, page float64
}

// serveCeiling answers GET with a user of the same size (or a page of n of
// them), and POST with the body it got.
func serveCeiling(addr string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("count"))
		if err != nil {
			n = 1
		}
		w.Header().Set("Content-Type", "application/scim+json")
		w.Header().Set("Content-Length", strconv.Itoa(n*len(userBody(0))))
		for i := range n {
			if _, err := w.Write(userBody(int64(i % 10))); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}

// measureHTTPCeiling runs serveCeiling in a process of its own, as Muster will
// run, and measures it with the same client.
func measureHTTPCeiling(ctx context.Context, p plan) (c ceilings, err error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return c, err
	}
	self, err := os.Executable()
	if err != nil {
		return c, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve-ceiling", addr)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return c, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	client, url := newClient(p.connections), "http://"+addr
	if err := await(ctx, client, url+"/"); err != nil {
		return c, err
	}
	post, err := p.best(ctx, func(ctx context.Context) error {
		_, err := send(ctx, client, http.MethodPost, url+"/Users", "token", bytes.NewReader(userBody(0)), http.StatusCreated)
		return err
	})
	if err != nil {
		return c, err
	}
	get := func(url string) (float64, error) {
		return p.best(ctx, func(ctx context.Context) error {
			_, err := send(ctx, client, http.MethodGet, url, "token", nil, http.StatusOK)
			return err
		})
	}
	if c.get, err = get(url + "/Users/1"); err != nil {
		return c, err
	}
	if c.page, err = get(url + "/Users?count=100"); err != nil {
		return c, err
	}
	sayf("net/http, no work\n  POST of a user         %8.0f/s\n  GET of a user          %8.0f/s\n  GET of 100 users       %8.0f/s\n", post, c.get, c.page)
	return c, nil
}

// await waits until a server answers.
func await(ctx context.Context, client *http.Client, url string) error {
	var err error
	for range 300 {
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, http.MethodGet, url, nil); err != nil {
			return err
		}
		var res *http.Response
		if res, err = client.Do(req); err == nil {
			return res.Body.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// freeAddress is an address on loopback that nobody listens on at the moment.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
