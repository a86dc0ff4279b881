package transport

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of the proxies that are believed about where a request
// came from. Nobody else is: anyone can send an X-Forwarded-For.
type Proxies []netip.Prefix

// ParseProxies reads addresses and prefixes, separated by commas or blanks.
func ParseProxies(text string) (Proxies, error) {
	var all Proxies
	for one := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		prefix, err := netip.ParsePrefix(one)
		if err != nil {
			addr, err := netip.ParseAddr(one)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address, such as 10.0.0.7, nor a prefix, such as 10.0.0.0/8", one)
			}
			prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		if prefix.Bits() == 0 {
			return nil, fmt.Errorf("%q would believe everybody; name the networks of the proxies", one)
		}
		all = append(all, prefix.Masked())
	}
	return all, nil
}

// Believe tells whether what comes from this address is believed.
func (p Proxies) Believe(peer netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(peer) })
}

// Client is where a request came from that peer handed over, with these values of
// X-Forwarded-For. Each proxy adds at the end from whom it had the request, so the
// client is the last who is not believed; what stands before it, it may have made up.
func (p Proxies) Client(peer netip.Addr, forwardedFor []string) netip.Addr {
	client := peer
	for _, line := range slices.Backward(forwardedFor) {
		for line != "" {
			at := strings.LastIndexByte(line, ',')
			hop, ok := parseHop(line[at+1:])
			if !ok || !p.Believe(client) {
				return client
			}
			client, line = hop, line[:max(at, 0)]
		}
	}
	return client
}

// parseHop reads one element of X-Forwarded-For: an address, which some proxies give
// a port.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone(""), true
}
