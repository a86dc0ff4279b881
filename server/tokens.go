package server

import (
	"crypto/rand"
	"crypto/sha256"
)

// tokenPrefix begins every secret that Muster makes, so that people and secret
// scanners know one when they see it.
const tokenPrefix = "muster_"

// NewToken makes a secret: 260 random bits after the prefix.
func NewToken() string { return tokenPrefix + rand.Text() + rand.Text() }

// NewMarkedToken is NewToken with a mark that tells what it is: muster_at_… is an
// access token.
func NewMarkedToken(mark string) string { return tokenPrefix + mark + "_" + rand.Text() + rand.Text() }

// HashToken is what the database keeps of a secret. A plain hash is enough for a
// random one: there is no dictionary to try.
func HashToken(token string) [32]byte { return sha256.Sum256([]byte(token)) }
