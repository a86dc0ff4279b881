package server

import (
	"context"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// A projected request says what its answer contains.
type projected interface {
	GetAttributes() []string
	GetExcludedAttributes() []string
}

// answer is the projection of a request, and whether links must be read for it.
func answer(rt *scim.ResourceType, req projected) (p *scim.Projection, links bool, err error) {
	if p, err = rt.CompileProjection(req.GetAttributes(), req.GetExcludedAttributes()); err != nil {
		return nil, false, scim.InField("excluded_attributes", err)
	}
	for _, a := range rt.Links() {
		links = links || p.Includes(a)
	}
	return p, links, nil
}

// finish projects an answer. R is the message of the resource type.
func finish[R scim.Resource](p *scim.Projection, r scim.Resource, err error) (R, error) {
	if err != nil {
		var none R
		return none, err
	}
	p.Apply(r)
	return r.(R), nil //nolint:forcetypeassert // the store answers with what was asked for
}

// missing is the error of a request that lacks its resource r.
func missing(r scim.Resource, rt *scim.ResourceType) error {
	field := "resource"
	switch r.(type) {
	case *musterv1.User:
		field = "user"
	case *musterv1.Group:
		field = "group"
	}
	return scim.InField(field, scim.Errorf(scim.InvalidSyntax, "the request has no %s", rt.Name))
}

// isNil tells whether a request lacks its resource.
func isNil[R scim.Resource](r R) bool {
	var none R
	return any(r) == any(none)
}

func create[R scim.Resource](ctx context.Context, s passwords, rt *scim.ResourceType, r R, req projected) (none R, err error) {
	if isNil(r) {
		return none, missing(r, rt)
	}
	p, links, err := answer(rt, req)
	if err != nil {
		return none, err
	}
	if err := s.prepare(ctx, rt, r); err != nil {
		return none, err
	}
	made, err := tenantOf(ctx).Create(ctx, rt, r, links)
	return finish[R](p, made, err)
}

// prepare makes a resource that a client sent fit to be created.
func (p passwords) prepare(ctx context.Context, rt *scim.ResourceType, r scim.Resource) error {
	if err := rt.Prepare(r); err != nil {
		return err
	}
	return rt.RewriteSecrets(r, func(attr *scim.Attribute, plain string) (string, error) {
		return p.hash(ctx, attr, plain, "")
	})
}

func get[R scim.Resource](ctx context.Context, rt *scim.ResourceType, id string, req projected) (none R, err error) {
	p, links, err := answer(rt, req)
	if err != nil {
		return none, err
	}
	r, err := tenantOf(ctx).Get(ctx, rt, id, links)
	return finish[R](p, r, err)
}

// A targeted request is about one resource, if its version allows.
type targeted interface {
	GetId() string
	GetIfMatch() string
	GetIfNoneMatch() string
}

// A changing request changes it.
type changing interface {
	targeted
	projected
}

func replace[R scim.Resource](ctx context.Context, s passwords, rt *scim.ResourceType, r R, req changing) (none R, err error) {
	if isNil(r) {
		return none, missing(r, rt)
	}
	c, err := rt.CompileReplace(r)
	if err != nil {
		return none, err
	}
	return change[R](ctx, s, rt, c, req, true)
}

func patch[R scim.Resource](ctx context.Context, s passwords, rt *scim.ResourceType, ops []*musterv1.PatchOperation, req changing, withLinks bool) (none R, err error) {
	c, err := rt.CompilePatch(ops)
	if err != nil {
		return none, err
	}
	return change[R](ctx, s, rt, c, req, withLinks)
}

// change makes a compiled change. withLinks: the answer may have links.
func change[R scim.Resource](ctx context.Context, s passwords, rt *scim.ResourceType, c scim.Change, req changing, withLinks bool) (none R, err error) {
	p, links, err := answer(rt, req)
	if err != nil {
		return none, err
	}
	match, err := scim.ParseMatch(req.GetIfMatch(), req.GetIfNoneMatch())
	if err != nil {
		return none, err
	}
	tenant := tenantOf(ctx)
	err = c.Secrets(func(attr *scim.Attribute, plain string) (string, error) {
		present, err := tenant.SecretHash(ctx, req.GetId(), attr)
		if err != nil {
			return "", err
		}
		return s.hash(ctx, attr, plain, present)
	})
	if err != nil {
		return none, err
	}
	r, err := tenant.Update(ctx, rt, req.GetId(), match, c, links && withLinks)
	return finish[R](p, r, err)
}

func remove(ctx context.Context, rt *scim.ResourceType, req targeted) error {
	match, err := scim.ParseMatch(req.GetIfMatch(), req.GetIfNoneMatch())
	if err != nil {
		return err
	}
	return end(ctx, rt, req.GetId(), match)
}
