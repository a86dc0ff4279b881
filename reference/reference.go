// Package reference makes documents of what the program knows of itself: an OpenAPI
// description of the REST face (openapi.go), and pages that people read about it and
// about the gRPC services (pages.go). Nothing in them is written twice: attributes come
// from the table of package scim, routes from the rules of the gateway, messages and
// what is said of them from the contract. They tell nothing of any tenant, so everybody
// may read them.
package reference

import (
	"encoding/json"
	"fmt"

	"github.com/muster-scim/muster/gateway"
	"github.com/muster-scim/muster/scim"
)

// Paths of the documents.
const (
	DocumentPath = "/openapi.json"
	RESTPath     = "/docs"
	GRPCPath     = "/docs/grpc"
)

// Options are what the documents say of this server.
type Options struct {
	Version string // of the program
	// Origin is where the paths begin: https://scim.example.com. Empty: where the
	// document itself was found.
	Origin string
	Limits scim.Limits
}

// Pages makes the documents, by their paths.
func Pages(opts Options) (map[string]gateway.Page, error) {
	routes, err := gateway.Routes()
	if err != nil {
		return nil, err
	}
	c, err := readContract()
	if err != nil {
		return nil, err
	}
	d := newDocument(opts, c, routes)
	data, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	rest, err := restPage(d)
	if err != nil {
		return nil, err
	}
	grpc, err := grpcPage(c)
	if err != nil {
		return nil, err
	}
	return map[string]gateway.Page{
		DocumentPath: {ContentType: "application/json", Body: data, Policy: "default-src 'none'; frame-ancestors 'none'"},
		RESTPath:     rest,
		GRPCPath:     grpc,
	}, nil
}
