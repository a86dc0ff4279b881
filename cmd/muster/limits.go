package main

import (
	"math"
	"net"
	"time"

	"golang.org/x/net/netutil"

	"github.com/muster-scim/muster/scim"
)

// limitSettings are how much the server does at once, and for whom, and how large a
// request may be.
var limitSettings = []setting{
	{"rate-limit", "1000", "requests a second of one tenant, in the long run; 0: any number", number{func(c *config) *float64 { return &c.Limits.Tenant.PerSecond }, 0, 1e6}},
	{"rate-burst", "2000", "requests of one tenant at once, after a quiet time", integer{func(c *config) *int { return &c.Limits.Tenant.Burst }, 1, 1e6}},
	{"credential-rate-limit", "1000", "requests a second of one credential, in the long run; 0: any number", number{func(c *config) *float64 { return &c.Limits.Credential.PerSecond }, 0, 1e6}},
	{"credential-rate-burst", "2000", "requests of one credential at once, after a quiet time", integer{func(c *config) *int { return &c.Limits.Credential.Burst }, 1, 1e6}},
	{"concurrent-requests", "64", "requests of one tenant that are worked on at the same time; 0: any number", integer{func(c *config) *int { return &c.Limits.OfTenant }, 0, 1e5}},
	{"total-concurrent-requests", "256", "requests of all tenants that are worked on at the same time; 0: any number", integer{func(c *config) *int { return &c.Limits.Total }, 0, 1e5}},
	{"concurrent-streams", "100", "streams of one tenant at the same time; 0: any number", integer{func(c *config) *int { return &c.Limits.Streams }, 0, 1e5}},
	{"failed-logins", "30", "attempts with a credential that is not valid, from one address; 0: any number", integer{func(c *config) *int { return &c.Limits.FailedLogins.Count }, 0, 1e6}},
	{"failed-logins-window", "1m0s", "time in which so many attempts are allowed", func(c *config) *time.Duration { return &c.Limits.FailedLogins.Window }},
	{"max-body", "2097152", "bytes of a request, and so of a bulk request", integer{func(c *config) *int { return &c.Sizes.Body }, 64 << 10, 64 << 20}},
	{"max-bulk-operations", "1000", "operations of a bulk request", integer{func(c *config) *int { return &c.Sizes.BulkOperations }, 1, 10_000}},
	{"max-patch-operations", "1000", "operations of a patch", integer{func(c *config) *int { return &c.Sizes.PatchOperations }, 1, 10_000}},
	{"max-page-size", "1000", "resources in a page, and how many there are by default", integer{func(c *config) *int { return &c.Sizes.PageSize }, 1, 10_000}},
	{"max-filter-length", "8192", "bytes of a filter", integer{func(c *config) *int { return &c.Sizes.FilterLength }, 64, 64 << 10}},
	{"max-filter-depth", "32", "how deep parentheses, brackets and not nest in a filter", integer{func(c *config) *int { return &c.Sizes.FilterDepth }, 1, scim.MaxFilterDepth}},
	{"max-filter-comparisons", "256", "comparisons in a filter", integer{func(c *config) *int { return &c.Sizes.FilterTerms }, 1, scim.MaxFilterTerms}},
	{"max-connections", "4096", "connections of each listener; further ones wait; 0: any number", integer{func(c *config) *int { return &c.MaxConnections }, 0, math.MaxInt32}},
}

// limitConnections lets a listener have no more than so many connections.
func limitConnections(l net.Listener, most int) net.Listener {
	if most == 0 {
		return l
	}
	return netutil.LimitListener(l, most)
}
