package server

import (
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// access is what a method asks of its caller.
type access uint8

const (
	// public methods need no credential.
	public access = iota + 1
	// read and write need a credential with the scope "scim".
	read
	write
	// admin needs a credential with the scope "admin".
	admin
)

// The scopes of credentials.
const (
	ScopeSCIM  = "scim"
	ScopeAdmin = "admin"
)

// scope is what a caller's credential must have; "" where none is needed.
func (a access) scope() string {
	switch a {
	case read, write:
		return ScopeSCIM
	case admin:
		return ScopeAdmin
	case public:
	}
	return ""
}

// policy says what each method asks. A method without a row is refused: what is
// new is closed until somebody decides.
var policy = map[string]access{
	musterv1.ProvisioningService_GetUser_FullMethodName:    read,
	musterv1.ProvisioningService_ListUsers_FullMethodName:  read,
	musterv1.ProvisioningService_GetGroup_FullMethodName:   read,
	musterv1.ProvisioningService_ListGroups_FullMethodName: read,
	musterv1.ProvisioningService_Search_FullMethodName:     read,

	musterv1.ProvisioningService_CreateUser_FullMethodName:   write,
	musterv1.ProvisioningService_ReplaceUser_FullMethodName:  write,
	musterv1.ProvisioningService_PatchUser_FullMethodName:    write,
	musterv1.ProvisioningService_DeleteUser_FullMethodName:   write,
	musterv1.ProvisioningService_CreateGroup_FullMethodName:  write,
	musterv1.ProvisioningService_ReplaceGroup_FullMethodName: write,
	musterv1.ProvisioningService_PatchGroup_FullMethodName:   write,
	musterv1.ProvisioningService_DeleteGroup_FullMethodName:  write,

	// Each operation of a bulk needs what its own method asks, beside this.
	musterv1.ProvisioningService_Bulk_FullMethodName: write,

	musterv1.ResourceService_GetResource_FullMethodName:     read,
	musterv1.ResourceService_ListResources_FullMethodName:   read,
	musterv1.ResourceService_CreateResource_FullMethodName:  write,
	musterv1.ResourceService_ReplaceResource_FullMethodName: write,
	musterv1.ResourceService_PatchResource_FullMethodName:   write,
	musterv1.ResourceService_DeleteResource_FullMethodName:  write,

	musterv1.RegistryService_Register_FullMethodName:          admin,
	musterv1.RegistryService_Unregister_FullMethodName:        admin,
	musterv1.RegistryService_ListRegistrations_FullMethodName: admin,

	// A client checks its token with these first, so they are not public.
	musterv1.DiscoveryService_GetServiceProviderConfig_FullMethodName: read,
	musterv1.DiscoveryService_ListResourceTypes_FullMethodName:        read,
	musterv1.DiscoveryService_GetResourceType_FullMethodName:          read,
	musterv1.DiscoveryService_ListSchemas_FullMethodName:              read,
	musterv1.DiscoveryService_GetSchema_FullMethodName:                read,

	"/grpc.health.v1.Health/Check":                              public,
	"/grpc.health.v1.Health/List":                               public,
	"/grpc.health.v1.Health/Watch":                              public,
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": public, // the contract is no secret
}
