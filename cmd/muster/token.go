package main

import (
	"crypto/rand"
	"crypto/sha256"
)

// tokenPrefix begins every token that Muster makes, so that people and secret
// scanners know one when they see it.
const tokenPrefix = "muster_"

// newToken makes a bearer token: 260 random bits after the prefix.
func newToken() string { return tokenPrefix + rand.Text() + rand.Text() }

// tokenHash is what the database keeps of a token. A plain hash is enough for a
// random secret: there is no dictionary to try.
func tokenHash(token string) [32]byte { return sha256.Sum256([]byte(token)) }
