package main

import (
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-scim/muster/test/authority"
)

func TestTransportTo(t *testing.T) {
	a, dir := authority.New(t), t.TempDir()
	ca := authority.WriteFile(t, dir, "ca.crt", a.PEM)
	cert, key := a.Client(t, time.Hour).Write(t, dir, "client")
	for _, row := range []struct {
		address string
		args    []string
		want    string // "tls", "insecure" or ""
	}{
		{"127.0.0.1:9090", nil, "insecure"},
		{"[::1]:9090", nil, "insecure"},
		{"localhost:9090", nil, "insecure"},
		{"dns:///localhost:9090", nil, "insecure"},
		{"unix:/run/muster", nil, "insecure"},
		{"10.0.0.7:9090", nil, "tls"},
		{"scim.example.com:9090", nil, "tls"},
		{"localhost.example.com:9090", nil, "tls"},
		{"127.0.0.1.example.com:9090", nil, "tls"},
		{"dns:///scim.example.com:9090", nil, "tls"},
		{"localhost", nil, "tls"}, // gRPC makes localhost:443 of it
		{":9090", nil, "insecure"},
		{"127.0.0.1:9090", []string{"--tls"}, "tls"},
		{"127.0.0.1:9090", []string{"--ca", ca}, "tls"},
		{"127.0.0.1:9090", []string{"--cert", cert, "--key", key}, "tls"},
		{"10.0.0.7:9090", []string{"--plaintext"}, "insecure"},
		{"10.0.0.7:9090", []string{"--plaintext", "--ca", ca}, ""},
		{"10.0.0.7:9090", []string{"--plaintext", "--tls"}, ""},
		{"10.0.0.7:9090", []string{"--ca", dir + "/nowhere"}, ""},
		{"10.0.0.7:9090", []string{"--cert", cert}, ""},
		{"10.0.0.7:9090", []string{"--key", key}, ""},
	} {
		cmd := &cobra.Command{}
		addTransport(cmd)
		if err := cmd.ParseFlags(row.args); err != nil {
			t.Fatal(err)
		}
		v, err := newViper(cmd.Flags())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		creds, err := transportTo(v, row.address)
		if err == nil {
			got = creds.Info().SecurityProtocol
		}
		if got != row.want {
			t.Errorf("%s %v: %q, %v; want %q", row.address, row.args, got, err, row.want)
		}
	}
}
