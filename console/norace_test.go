//go:build !race

package console

// raceEnabled: the detector looks at the server.
const raceEnabled = false
