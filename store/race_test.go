//go:build race

package store

import "flag"

// What random data find, they find without the detector, by ten times as many examples: it
// looks at what goroutines share, which is the same in each.
func init() {
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
}
