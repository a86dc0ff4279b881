package transport

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseProxies(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "10.0.0.7": "10.0.0.7/32", "10.1.2.3/8": "10.0.0.0/8", "::1, 10.0.0.0/8  192.0.2.1,": "::1/128 10.0.0.0/8 192.0.2.1/32", "::ffff:10.0.0.7": "10.0.0.7/32",
		"proxy": "error", "10.0.0.0/33": "error", "0.0.0.0/0": "error", "::/0": "error", "10.0.0.7:80": "error",
	} {
		got, err := ParseProxies(text)
		var texts []string
		for _, p := range got {
			texts = append(texts, p.String())
		}
		if joined := strings.Join(texts, " "); err == nil && joined != want || (err != nil) != (want == "error") {
			t.Errorf("%q: %s, %v; want %s", text, joined, err, want)
		}
	}
}

func TestProxies_Client(t *testing.T) {
	proxies, err := ParseProxies("10.0.0.0/8 fd00::/8")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		why, peer string
		header    []string
		want      string
	}{
		{"no proxy", "192.0.2.1", nil, "192.0.2.1"},
		{"who is not believed", "192.0.2.1", []string{"198.51.100.1"}, "192.0.2.1"},
		{"a proxy", "10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"a proxy that says nothing", "10.0.0.1", nil, "10.0.0.1"},
		{"what the client made up", "10.0.0.1", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		{"as if from a proxy", "10.0.0.1", []string{"10.0.0.9, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1", []string{"203.0.113.9,198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"several lines", "10.0.0.1", []string{"203.0.113.9", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"a client within", "10.0.0.1", []string{"10.9.9.9"}, "10.9.9.9"},
		{"with a port", "10.0.0.1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"IPv6", "fd00::1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", "fd00::1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 with a port", "fd00::1", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		{"IPv4 in IPv6", "10.0.0.1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"nonsense ends it", "10.0.0.1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"nothing between commas", "10.0.0.1", []string{"198.51.100.1,,"}, "10.0.0.1"},
		{"an empty line", "10.0.0.1", []string{"198.51.100.1", ""}, "198.51.100.1"},
	} {
		if got := proxies.Client(netip.MustParseAddr(row.peer), row.header); got.String() != row.want {
			t.Errorf("%s: %s, want %s", row.why, got, row.want)
		}
	}
	if got := Proxies(nil).Client(netip.MustParseAddr("10.0.0.1"), []string{"198.51.100.1"}); got.String() != "10.0.0.1" {
		t.Errorf("without proxies: %s", got)
	}
}
