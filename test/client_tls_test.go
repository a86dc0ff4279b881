package test

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestCommands_OverTLS(t *testing.T) {
	s := startTLS(t)
	ca := s.folder + "/ca.crt"
	if out, err := command(s.database, "credential", "create", "ops", "--scope", "admin,scim", "--json").Output(); err != nil {
		t.Fatal(err)
	} else {
		t.Setenv("MUSTER_TOKEN", reply{body: out}.json(t)["secret"].(string))
	}
	for _, row := range []struct {
		args  []string
		fails bool
		want  string // in what is printed
	}{
		{[]string{"schema", "list", "--grpc", s.grpc, "--ca", ca}, false, "NAME"},
		{[]string{"schema", "list", "--grpc", s.grpc, "--tls"}, true, "unknown authority"},
		{[]string{"schema", "list", "--grpc", s.grpc}, true, "muster: "}, // plain text on loopback
		{[]string{"simulate", "cyberark", "--url", s.base, "--ca", ca}, false, "PASSED"},
		{[]string{"simulate", "cyberark", "--url", s.base}, true, "unknown authority"},
		{[]string{"conformance", "--url", s.base, "--ca", ca, "--only", "DISC-00"}, false, "PASSED"},
		{[]string{"conformance", "--url", s.base, "--only", "DISC-00"}, true, "unknown authority"},
	} {
		out, err := exec.Command(binary, row.args...).CombinedOutput()
		if (err != nil) != row.fails || !strings.Contains(string(out), row.want) {
			t.Errorf("%v: %v: %s", row.args, err, out)
		}
	}
}

// An operator's certificate stands for a token.
func TestCommands_WithCertificate(t *testing.T) {
	s := startTLS(t)
	if err := s.terminate(t); err != nil {
		t.Fatal(err)
	}
	ca := s.folder + "/ca.crt"
	s.program = serve(t, s.database, "--tls-cert", s.folder+"/tls.crt", "--tls-key", s.folder+"/tls.key", "--grpc-client-ca", ca)
	operator := s.ca.Client(t, time.Hour)
	cert, key := operator.Write(t, s.folder, "operator")
	list := []string{"schema", "list", "--grpc", s.grpc, "--ca", ca, "--cert", cert, "--key", key}
	cmd := exec.Command(binary, list...)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "not valid") {
		t.Errorf("a certificate that is no credential: %v: %s", err, out)
	}
	if out, err := command(s.database, "credential", "create", "operator", "--kind", "certificate", "--certificate-file", cert, "--scope", "admin").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd = exec.Command(binary, list...)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "NAME") {
		t.Errorf("%v: %s", err, out)
	}
}
