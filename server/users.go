package server

import (
	"context"
	"log/slog"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// provisioning is muster.v1.ProvisioningService. Each method names its types, and
// a verb does the rest.
type provisioning struct {
	musterv1.UnimplementedProvisioningServiceServer

	log       *slog.Logger
	audit     *auditLog
	passwords passwords
	bulks     *store.Turns
	cursors   *cursors
}

func newProvisioning(st *store.Store, log *slog.Logger, audit *auditLog) *provisioning {
	return &provisioning{log: log, audit: audit, passwords: newPasswords(), bulks: newBulkTurns(), cursors: newCursors(st)}
}

func (s *provisioning) CreateUser(ctx context.Context, req *musterv1.CreateUserRequest) (*musterv1.CreateUserResponse, error) {
	u, err := create(ctx, s.passwords, typeOf(ctx, scim.User), req.GetUser(), req)
	return &musterv1.CreateUserResponse{User: u}, err
}

func (s *provisioning) GetUser(ctx context.Context, req *musterv1.GetUserRequest) (*musterv1.GetUserResponse, error) {
	u, err := get[*musterv1.User](ctx, typeOf(ctx, scim.User), req.GetId(), req)
	return &musterv1.GetUserResponse{User: u}, err
}

func (s *provisioning) ListUsers(ctx context.Context, req *musterv1.ListUsersRequest) (*musterv1.ListUsersResponse, error) {
	p, err := list[*musterv1.User](ctx, s.cursors, typeOf(ctx, scim.User), req, req.Count, req.PageToken) //nolint:protogetter // whether they are there
	return &musterv1.ListUsersResponse{Users: p.resources, TotalResults: p.total, StartIndex: p.start, ItemsPerPage: p.length, NextPageToken: p.next}, err
}

func (s *provisioning) ReplaceUser(ctx context.Context, req *musterv1.ReplaceUserRequest) (*musterv1.ReplaceUserResponse, error) {
	u, err := replace(ctx, s.passwords, typeOf(ctx, scim.User), req.GetUser(), req)
	return &musterv1.ReplaceUserResponse{User: u}, err
}

func (s *provisioning) PatchUser(ctx context.Context, req *musterv1.PatchUserRequest) (*musterv1.PatchUserResponse, error) {
	u, err := patch[*musterv1.User](ctx, s.passwords, typeOf(ctx, scim.User), req.GetOperations(), req, true)
	return &musterv1.PatchUserResponse{User: u}, err
}

func (s *provisioning) DeleteUser(ctx context.Context, req *musterv1.DeleteUserRequest) (*musterv1.DeleteUserResponse, error) {
	return &musterv1.DeleteUserResponse{}, remove(ctx, typeOf(ctx, scim.User), req)
}
