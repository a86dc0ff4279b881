package server

import (
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// An action is what a method does, as far as scopes go.
type action uint8

const (
	// public methods need no credential.
	public action = iota + 1
	// discover: to learn what the server can do, any scope of resources is enough.
	discover
	// read and write resources.
	read
	write
	// admin administers the tenant, and adminRead only looks.
	admin
	adminRead
	// internal methods are for the REST face of this process, and nobody else.
	internal
	// signIn methods are for the console of this process, before anybody is signed in.
	signIn
	// own methods are what an operator does with the session that the call shows.
	own
)

// scope is one that allows the action.
func (a action) scope(resourceType string) string {
	of := ScopeSCIM
	if resourceType != "" {
		of += ":" + resourceType
	}
	switch a {
	case read:
		return of + ":read"
	case write:
		return of + ":write"
	case admin:
		return ScopeAdmin
	case adminRead:
		return ScopeAdminRead
	case public, discover, internal, signIn, own:
	}
	return of
}

// access is what a method asks of its caller.
type access struct {
	action action
	// resourceType is the type whose resources it is about; empty: the method itself
	// asks permit for the types that its request names.
	resourceType string
}

// policy says what each method asks. A method without a row is refused: what is
// new is closed until somebody decides.
var policy = map[string]access{
	musterv1.ProvisioningService_GetUser_FullMethodName:    {read, "User"},
	musterv1.ProvisioningService_ListUsers_FullMethodName:  {read, "User"},
	musterv1.ProvisioningService_GetGroup_FullMethodName:   {read, "Group"},
	musterv1.ProvisioningService_ListGroups_FullMethodName: {read, "Group"},
	musterv1.ProvisioningService_Search_FullMethodName:     {read, ""},

	musterv1.ProvisioningService_CreateUser_FullMethodName:   {write, "User"},
	musterv1.ProvisioningService_ReplaceUser_FullMethodName:  {write, "User"},
	musterv1.ProvisioningService_PatchUser_FullMethodName:    {write, "User"},
	musterv1.ProvisioningService_DeleteUser_FullMethodName:   {write, "User"},
	musterv1.ProvisioningService_CreateGroup_FullMethodName:  {write, "Group"},
	musterv1.ProvisioningService_ReplaceGroup_FullMethodName: {write, "Group"},
	musterv1.ProvisioningService_PatchGroup_FullMethodName:   {write, "Group"},
	musterv1.ProvisioningService_DeleteGroup_FullMethodName:  {write, "Group"},

	// Each operation of a bulk needs what its own method asks, beside this.
	musterv1.ProvisioningService_Bulk_FullMethodName: {write, ""},

	musterv1.ResourceService_GetResource_FullMethodName:     {read, ""},
	musterv1.ResourceService_ListResources_FullMethodName:   {read, ""},
	musterv1.ResourceService_CreateResource_FullMethodName:  {write, ""},
	musterv1.ResourceService_ReplaceResource_FullMethodName: {write, ""},
	musterv1.ResourceService_PatchResource_FullMethodName:   {write, ""},
	musterv1.ResourceService_DeleteResource_FullMethodName:  {write, ""},

	musterv1.RegistryService_Register_FullMethodName:          {admin, ""},
	musterv1.RegistryService_Unregister_FullMethodName:        {admin, ""},
	musterv1.RegistryService_ListRegistrations_FullMethodName: {adminRead, ""},

	musterv1.DirectoryService_LookupUser_FullMethodName:      {read, "User"},
	musterv1.DirectoryService_LookupGroup_FullMethodName:     {read, "Group"},
	musterv1.DirectoryService_BatchGetUsers_FullMethodName:   {read, "User"},
	musterv1.DirectoryService_BatchGetGroups_FullMethodName:  {read, "Group"},
	musterv1.DirectoryService_FindUsers_FullMethodName:       {read, "User"},
	musterv1.DirectoryService_FindGroups_FullMethodName:      {read, "Group"},
	musterv1.DirectoryService_ListMembers_FullMethodName:     {read, "Group"},
	musterv1.DirectoryService_StreamMembers_FullMethodName:   {read, "Group"},
	musterv1.DirectoryService_ListMemberships_FullMethodName: {read, "Group"},
	// It asks for users and groups both.
	musterv1.DirectoryService_CheckMembership_FullMethodName: {read, ""},
	musterv1.DirectoryService_UpdateUser_FullMethodName:      {write, "User"},
	musterv1.DirectoryService_UpdateGroup_FullMethodName:     {write, "Group"},

	musterv1.AuditService_ListAuditEvents_FullMethodName: {adminRead, ""},
	musterv1.AuditService_VerifyAuditLog_FullMethodName:  {adminRead, ""},

	musterv1.ActivityService_ListExchanges_FullMethodName:     {adminRead, ""},
	musterv1.ActivityService_GetExchange_FullMethodName:       {adminRead, ""},
	musterv1.ActivityService_WatchExchanges_FullMethodName:    {adminRead, ""},
	musterv1.ActivityService_GetTraffic_FullMethodName:        {adminRead, ""},
	musterv1.ActivityService_ListWatchers_FullMethodName:      {adminRead, ""},
	musterv1.ActivityService_ListStaleGroups_FullMethodName:   {adminRead, ""},
	musterv1.ActivityService_DeleteStaleGroups_FullMethodName: {admin, ""},
	musterv1.ActivityService_ListAttributeUse_FullMethodName:  {adminRead, ""},

	// Each names the types whose changes the caller may read.
	musterv1.ChangeService_ListChanges_FullMethodName:  {read, ""},
	musterv1.ChangeService_WatchChanges_FullMethodName: {read, ""},

	musterv1.TenantService_GetTenant_FullMethodName:     {adminRead, ""},
	musterv1.TenantService_ListTenants_FullMethodName:   {adminRead, ""},
	musterv1.TenantService_CreateTenant_FullMethodName:  {admin, ""},
	musterv1.TenantService_UpdateTenant_FullMethodName:  {admin, ""},
	musterv1.TenantService_SuspendTenant_FullMethodName: {admin, ""},
	musterv1.TenantService_ResumeTenant_FullMethodName:  {admin, ""},
	musterv1.TenantService_DeleteTenant_FullMethodName:  {admin, ""},

	musterv1.CredentialService_GetCredential_FullMethodName:    {adminRead, ""},
	musterv1.CredentialService_ListCredentials_FullMethodName:  {adminRead, ""},
	musterv1.CredentialService_CreateCredential_FullMethodName: {admin, ""},
	musterv1.CredentialService_UpdateCredential_FullMethodName: {admin, ""},
	musterv1.CredentialService_RotateCredential_FullMethodName: {admin, ""},
	musterv1.CredentialService_RevokeCredential_FullMethodName: {admin, ""},

	musterv1.SubscriptionService_GetSubscription_FullMethodName:    {adminRead, ""},
	musterv1.SubscriptionService_ListSubscriptions_FullMethodName:  {adminRead, ""},
	musterv1.SubscriptionService_ListDeadLetters_FullMethodName:    {adminRead, ""},
	musterv1.SubscriptionService_CreateSubscription_FullMethodName: {admin, ""},
	musterv1.SubscriptionService_UpdateSubscription_FullMethodName: {admin, ""},
	musterv1.SubscriptionService_DeleteSubscription_FullMethodName: {admin, ""},
	musterv1.SubscriptionService_ReplaySubscription_FullMethodName: {admin, ""},
	musterv1.SubscriptionService_RetryDeadLetters_FullMethodName:   {admin, ""},
	musterv1.SubscriptionService_DiscardDeadLetters_FullMethodName: {admin, ""},
	musterv1.SubscriptionService_RotateSigningKey_FullMethodName:   {admin, ""},

	// It asks for all types that the subscription has changes of.
	musterv1.EventService_PollEvents_FullMethodName: {read, ""},
	// Who verifies a signature need not be known.
	musterv1.EventService_ListSigningKeys_FullMethodName: {public, ""},

	musterv1.RecordingService_ListRecordings_FullMethodName:  {adminRead, ""},
	musterv1.RecordingService_ExportRecording_FullMethodName: {adminRead, ""},
	musterv1.RecordingService_StartRecording_FullMethodName:  {admin, ""},
	musterv1.RecordingService_StopRecording_FullMethodName:   {admin, ""},
	musterv1.RecordingService_DeleteRecording_FullMethodName: {admin, ""},
	musterv1.RecordingService_RecordExchange_FullMethodName:  {internal, ""},

	musterv1.OperatorService_PrepareSignIn_FullMethodName:        {signIn, ""},
	musterv1.OperatorService_SignIn_FullMethodName:               {signIn, ""},
	musterv1.OperatorService_GetSession_FullMethodName:           {own, ""},
	musterv1.OperatorService_RotateSession_FullMethodName:        {own, ""},
	musterv1.OperatorService_EndSession_FullMethodName:           {own, ""},
	musterv1.OperatorService_NoteDeed_FullMethodName:             {own, ""},
	musterv1.OperatorService_ListSessions_FullMethodName:         {adminRead, ""},
	musterv1.OperatorService_RevokeSession_FullMethodName:        {admin, ""},
	musterv1.OperatorService_CreateLoginLink_FullMethodName:      {admin, ""},
	musterv1.OperatorService_GetSignInProvider_FullMethodName:    {adminRead, ""},
	musterv1.OperatorService_ListSignInProviders_FullMethodName:  {adminRead, ""},
	musterv1.OperatorService_SetSignInProvider_FullMethodName:    {admin, ""},
	musterv1.OperatorService_DeleteSignInProvider_FullMethodName: {admin, ""},

	// A client checks its token with these first, so they are not public.
	musterv1.DiscoveryService_GetServiceProviderConfig_FullMethodName: {discover, ""},
	musterv1.DiscoveryService_ListResourceTypes_FullMethodName:        {discover, ""},
	musterv1.DiscoveryService_GetResourceType_FullMethodName:          {discover, ""},
	musterv1.DiscoveryService_ListSchemas_FullMethodName:              {discover, ""},
	musterv1.DiscoveryService_GetSchema_FullMethodName:                {discover, ""},

	"/grpc.health.v1.Health/Check":                              {public, ""},
	"/grpc.health.v1.Health/List":                               {public, ""},
	"/grpc.health.v1.Health/Watch":                              {public, ""},
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": {public, ""}, // the contract is no secret
}
