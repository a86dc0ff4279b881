package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const tenantsPath = root + "tenants"

// maxDeleting is how long a page waits for the end of a tenant. It goes on without.
const maxDeleting = 5 * time.Second

// atHome is the context of calls that are about all tenants, in whichever of them the
// operator works.
func (v *visit) atHome() context.Context {
	md, _ := metadata.FromOutgoingContext(v.Context())
	md = md.Copy()
	md.Delete(tenantKey)
	return metadata.NewOutgoingContext(v.Context(), md)
}

// A tenantRow is a tenant as pages tell it.
type tenantRow struct {
	*musterv1.Tenant

	Path string
}

func tenantRowOf(t *musterv1.Tenant) tenantRow {
	return tenantRow{t, tenantsPath + "/" + url.PathEscape(t.GetName())}
}

// Active tells whether its credentials are let in.
func (t tenantRow) Active() bool { return t.GetState() == musterv1.Tenant_STATE_ACTIVE }

// Suspended tells whether its credentials are refused.
func (t tenantRow) Suspended() bool { return t.GetState() == musterv1.Tenant_STATE_SUSPENDED }

// Deleting tells whether its data is being removed.
func (t tenantRow) Deleting() bool { return t.GetState() == musterv1.Tenant_STATE_DELETING }

// Strict tells whether its clients are understood by the word.
func (t tenantRow) Strict() bool {
	return t.GetProfile() == musterv1.ClientProfile_CLIENT_PROFILE_STRICT
}

// Disables tells whether a DELETE of a user only disables it.
func (t tenantRow) Disables() bool {
	return t.GetDeprovision() == musterv1.Deprovision_DEPROVISION_DISABLE
}

// IsDefault tells whether it is the tenant that is never suspended or deleted.
func (t tenantRow) IsDefault() bool { return t.GetName() == firstTenant }

// LimitTexts are the limits that it has of its own, in words.
func (t tenantRow) LimitTexts() []string {
	var all []string
	l := t.GetLimits()
	add := func(set bool, number, unit string) {
		switch {
		case !set:
		case number == "0":
			all = append(all, "any number "+unit)
		default:
			all = append(all, number+" "+unit)
		}
	}
	if l != nil {
		add(l.RequestsPerSecond != nil, decimal(l.GetRequestsPerSecond()), "requests a second")
		add(l.Burst != nil, strconv.Itoa(int(l.GetBurst())), "in a burst")
		add(l.ConcurrentRequests != nil, strconv.Itoa(int(l.GetConcurrentRequests())), "at once")
	}
	return all
}

func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func listTenants(v *visit) error {
	out, err := v.tenants.ListTenants(v.atHome(), &musterv1.ListTenantsRequest{})
	if err != nil {
		return err
	}
	var rows []tenantRow
	for _, t := range out.GetTenants() {
		rows = append(rows, tenantRowOf(t))
	}
	return v.show("tenants", page{Title: "Tenants", Section: "tenants", Data: rows})
}

// A tenantForm is what somebody enters of a tenant, as text.
type tenantForm struct {
	tenantRow
	history

	Name                    string
	New                     bool
	Rate, Burst, Concurrent string
	Problem                 string
	Base                    string // its base URL
}

// tenantFormOf is the form with what a tenant has.
func tenantFormOf(t *musterv1.Tenant) *tenantForm {
	f := &tenantForm{tenantRow: tenantRowOf(t), Name: t.GetName()}
	if l := t.GetLimits(); l != nil {
		if l.RequestsPerSecond != nil {
			f.Rate = decimal(l.GetRequestsPerSecond())
		}
		if l.Burst != nil {
			f.Burst = strconv.Itoa(int(l.GetBurst()))
		}
		if l.ConcurrentRequests != nil {
			f.Concurrent = strconv.Itoa(int(l.GetConcurrentRequests()))
		}
	}
	return f
}

// readTenantForm reads what was sent into the form, and the tenant of it.
func (v *visit) readTenantForm(name string) (f *tenantForm, t *musterv1.Tenant, err error) {
	text := func(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }
	t = &musterv1.Tenant{Name: name, Profile: musterv1.ClientProfile_CLIENT_PROFILE_TOLERANT, Deprovision: musterv1.Deprovision_DEPROVISION_DELETE, Limits: &musterv1.TenantLimits{}}
	if text("profile") == "strict" {
		t.Profile = musterv1.ClientProfile_CLIENT_PROFILE_STRICT
	}
	if text("deprovision") == "disable" {
		t.Deprovision = musterv1.Deprovision_DEPROVISION_DISABLE
	}
	f = &tenantForm{tenantRow: tenantRowOf(t), Name: name, Rate: text("rate"), Burst: text("burst"), Concurrent: text("concurrent")}
	if f.Rate != "" {
		n, wrong := strconv.ParseFloat(f.Rate, 64)
		t.Limits.RequestsPerSecond, err = &n, wrong
	}
	whole := func(text string) *int32 {
		if text == "" || err != nil {
			return nil
		}
		n, wrong := strconv.ParseInt(text, 10, 32)
		small := int32(n)
		err = wrong
		return &small
	}
	t.Limits.Burst, t.Limits.ConcurrentRequests = whole(f.Burst), whole(f.Concurrent)
	if err != nil {
		err = status.Error(codes.InvalidArgument, "a limit is a number; empty is the server's own, 0 any number")
	}
	return f, t, err
}

// showTenantForm shows the form, with what is wrong with it.
func (v *visit) showTenantForm(f *tenantForm, problem error) error {
	p := page{Title: f.Name, Section: "tenants", Crumbs: []crumb{{"Tenants", tenantsPath}}, Data: f}
	if f.New {
		p.Title = "Another tenant"
	}
	if problem != nil {
		f.Problem, p.Status = messageOf(problem), http.StatusBadRequest
	}
	if !f.New {
		f.Base = v.baseOf(f.Name).URL
		var err error
		if f.history, err = v.deedsOn(v.atHome(), f.Name); err != nil {
			return err
		}
		f.EventsPath = ""
	}
	return v.show("tenant-form", p)
}

func newTenant(v *visit) error {
	f := tenantFormOf(&musterv1.Tenant{})
	f.New = true
	return v.showTenantForm(f, nil)
}

func createTenant(v *visit) error {
	f, t, err := v.readTenantForm(strings.TrimSpace(v.PostFormValue("name")))
	f.New = true
	if err != nil {
		return v.showTenantForm(f, err)
	}
	out, err := v.tenants.CreateTenant(v.atHome(), &musterv1.CreateTenantRequest{Tenant: t})
	if isInput(err) {
		return v.showTenantForm(f, err)
	}
	if err != nil {
		return err
	}
	return v.done(tenantRowOf(out.GetTenant()).Path, out.GetTenant().GetName()+" is made. It has no credential yet: work in it, and connect a client.")
}

// namedTenant is the tenant that the path names.
func (v *visit) namedTenant() (*musterv1.Tenant, error) {
	out, err := v.tenants.GetTenant(v.atHome(), &musterv1.GetTenantRequest{Name: v.PathValue("name")})
	return out.GetTenant(), err
}

func showTenant(v *visit) error {
	t, err := v.namedTenant()
	if err != nil {
		return err
	}
	return v.showTenantForm(tenantFormOf(t), nil)
}

func updateTenant(v *visit) error {
	is, err := v.namedTenant()
	if err != nil {
		return err
	}
	f, t, err := v.readTenantForm(is.GetName())
	f.State, f.CreateTime = is.GetState(), is.GetCreateTime()
	if err != nil {
		return v.showTenantForm(f, err)
	}
	_, err = v.tenants.UpdateTenant(v.atHome(), &musterv1.UpdateTenantRequest{Tenant: t, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"profile", "deprovision", "limits"}}})
	if isInput(err) {
		return v.showTenantForm(f, err)
	}
	if err != nil {
		return err
	}
	return v.done(f.Path, t.GetName()+" is changed, with effect from the next request.")
}

// askTenantDeed asks before a deed on a tenant.
func (v *visit) askTenantDeed(q question, title string) error {
	t, err := v.namedTenant()
	if err != nil {
		return err
	}
	row := tenantRowOf(t)
	q.Title, q.Back = title+" "+t.GetName()+"?", row.Path
	if q.Type != "" {
		q.Type = t.GetName()
	}
	return v.ask(page{Section: "tenants", Crumbs: []crumb{{"Tenants", tenantsPath}, {t.GetName(), row.Path}}}, q)
}

func askSuspend(v *visit) error {
	return v.askTenantDeed(question{
		Button: "Suspend", Danger: true, Text: "All its credentials are refused until it is resumed.",
		Points: []string{"Nothing is lost.", "Clients that provision it get errors, and try again later."},
	}, "Suspend")
}

func suspendTenant(v *visit) error {
	out, err := v.tenants.SuspendTenant(v.atHome(), &musterv1.SuspendTenantRequest{Name: v.PathValue("name")})
	if err != nil {
		return err
	}
	return v.done(tenantRowOf(out.GetTenant()).Path, out.GetTenant().GetName()+" is suspended.")
}

func askResume(v *visit) error {
	return v.askTenantDeed(question{Button: "Resume", Text: "Its credentials are let in again."}, "Resume")
}

func resumeTenant(v *visit) error {
	out, err := v.tenants.ResumeTenant(v.atHome(), &musterv1.ResumeTenantRequest{Name: v.PathValue("name")})
	if err != nil {
		return err
	}
	return v.done(tenantRowOf(out.GetTenant()).Path, out.GetTenant().GetName()+" is active again.")
}

func askDeleteTenant(v *visit) error {
	return v.askTenantDeed(question{
		Button: "Delete for ever", Danger: true, Type: "its name", Text: "All that is of this tenant is removed. It cannot be undone.",
		Points: []string{"Its users, groups and other resources", "Its credentials and registered schemas", "Its change log and its audit log"},
	}, "Delete")
}

// deleteTenant deletes a tenant whose name was typed in.
func deleteTenant(v *visit) error {
	name := v.PathValue("name")
	if strings.TrimSpace(v.PostFormValue("typed")) != name {
		return status.Errorf(codes.InvalidArgument, "what was typed is not the name of the tenant; nothing was deleted")
	}
	ctx, cancel := context.WithTimeout(v.atHome(), maxDeleting)
	defer cancel()
	_, err := v.tenants.DeleteTenant(ctx, &musterv1.DeleteTenantRequest{Name: name})
	switch status.Code(err) {
	case codes.OK:
		return v.done(tenantsPath, name+" is deleted.")
	case codes.DeadlineExceeded:
		return v.done(tenantsPath, name+" is being deleted; that takes some time yet.")
	default:
		return err
	}
}
