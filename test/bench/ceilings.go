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
// them), and POST with the body it got, after an INSERT if it has a database.
func serveCeiling(ctx context.Context, addr, database string) error {
	insert := func(context.Context) error { return nil }
	if database != "" {
		var err error
		if insert, err = openInsert(ctx, database); err != nil {
			return err
		}
	}
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
		if err == nil {
			err = insert(r.Context())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/scim+json")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}

// startCeiling runs serveCeiling in a process of its own, as Muster will run.
func startCeiling(ctx context.Context, database string) (url string, stop func(), err error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return "", nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-serve-ceiling", addr, "-ceiling-database", database)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if err := await(ctx, http.DefaultClient, "http://"+addr+"/"); err != nil {
		stop()
		return "", nil, err
	}
	return "http://" + addr, stop, nil
}

// measurePost measures POST of users at the ceiling.
func measurePost(ctx context.Context, p plan, database string) (float64, error) {
	url, stop, err := startCeiling(ctx, database)
	if err != nil {
		return 0, err
	}
	defer stop()
	client := newClient(p.connections)
	return p.best(ctx, func(ctx context.Context) error {
		_, err := send(ctx, client, http.MethodPost, url+"/Users", "token", bytes.NewReader(userBody(0)), http.StatusCreated)
		return err
	})
}

// measureHTTPCeiling measures net/http alone, with the client that Muster will be
// measured with.
func measureHTTPCeiling(ctx context.Context, p plan) (c ceilings, err error) {
	post, err := measurePost(ctx, p, "")
	if err != nil {
		return c, err
	}
	url, stop, err := startCeiling(ctx, "")
	if err != nil {
		return c, err
	}
	defer stop()
	client := newClient(p.connections)
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
