//go:build !race

package test

// raceEnabled: the program is built with the race detector too.
const raceEnabled = false
