package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// A registry is where schemas and resource types are registered: a running server,
// or the database itself.
type registry interface {
	add(ctx context.Context, forAll bool, schemas []*musterv1.Schema, types []*musterv1.ResourceType) error
	remove(ctx context.Context, forAll bool, urns, names []string) error
	list(ctx context.Context) ([]*musterv1.Registration, error)
}

// withRegistry runs f on the registry that the flags of a command name.
func withRegistry(cmd *cobra.Command, f func(ctx context.Context, r registry) error) error {
	if cmd.Flags().Changed("data") || cmd.Flags().Changed("database") {
		err := withTenant(cmd, func(ctx context.Context, t store.Tenant) error { return f(ctx, databaseRegistry{t}) })
		if e, ok := errors.AsType[*scim.Error](err); ok {
			return errors.New(e.Detail)
		}
		return err
	}
	v, err := newViper(cmd.Flags())
	if err != nil {
		return err
	}
	token := v.GetString("token")
	if token == "" && v.GetString("cert") == "" {
		return errors.New("give --token or MUSTER_TOKEN, or --cert and --key, of a credential with the scope admin (`muster credential create`), or the database with --data or --database")
	}
	transport, err := transportTo(v, v.GetString("grpc"))
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(v.GetString("grpc"), grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // what it did is done
	ctx := cmd.Context()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	err = f(ctx, serverRegistry{musterv1.NewRegistryServiceClient(conn)})
	if s, ok := status.FromError(err); ok && err != nil {
		return errors.New(s.Message())
	}
	return err
}

// serverRegistry is that of a running server.
type serverRegistry struct {
	client musterv1.RegistryServiceClient
}

func (r serverRegistry) add(ctx context.Context, forAll bool, schemas []*musterv1.Schema, types []*musterv1.ResourceType) error {
	_, err := r.client.Register(ctx, &musterv1.RegisterRequest{AllTenants: forAll, Schemas: schemas, ResourceTypes: types})
	return err
}

func (r serverRegistry) remove(ctx context.Context, forAll bool, urns, names []string) error {
	_, err := r.client.Unregister(ctx, &musterv1.UnregisterRequest{AllTenants: forAll, Schemas: urns, ResourceTypes: names})
	return err
}

func (r serverRegistry) list(ctx context.Context) ([]*musterv1.Registration, error) {
	out, err := r.client.ListRegistrations(ctx, &musterv1.ListRegistrationsRequest{})
	return out.GetRegistrations(), err
}

// databaseRegistry is that of a tenant in the database.
type databaseRegistry struct{ tenant store.Tenant }

func (r databaseRegistry) add(ctx context.Context, forAll bool, schemas []*musterv1.Schema, types []*musterv1.ResourceType) error {
	return r.tenant.Register(ctx, forAll, schemas, types)
}

func (r databaseRegistry) remove(ctx context.Context, forAll bool, urns, names []string) error {
	return r.tenant.Unregister(ctx, forAll, urns, names)
}

func (r databaseRegistry) list(ctx context.Context) ([]*musterv1.Registration, error) {
	return r.tenant.Registrations(ctx)
}
