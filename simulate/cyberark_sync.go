package simulate

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// verify is what the console's Verify button needs: it gates everything else.
func (c *cyberArk) verify() {
	c.title("A Verify")
	c.step("GET /ServiceProviderConfig tells of PATCH and filters", func() error {
		a, err := c.call(http.MethodGet, "/ServiceProviderConfig", nil, 200)
		if err != nil {
			return err
		}
		yes := object{"supported": true}
		return contains(a.body, object{"patch": yes, "filter": yes}, "config")
	})
	c.resourceType("User", schemaUser)
	c.resourceType("Group", schemaGroup)
	c.schema("/Schemas/"+schemaUser, schemaUser, "userName", "active", "emails")
	c.schema("/Schemas/"+schemaGroup, schemaGroup, "displayName", "members")
	c.schema("/Schemas/"+schemaEnterprise, schemaEnterprise, "department", "manager")
	c.schema("/Schemas/"+strings.ReplaceAll(schemaEnterprise, ":", "%3A"), schemaEnterprise, "department")
	for _, path := range []string{"/Users?count=1", "//Users?count=1"} {
		c.step("GET "+path+" lists one user at most, without a redirect", func() error { return c.oneUser(path) })
	}
	c.step("GET /ServiceProviderConfigs (SCIM 1.1) is a SCIM 404", func() error {
		a, err := c.send(http.MethodGet, "/ServiceProviderConfigs", request{})
		if err != nil {
			return err
		}
		return a.wantError(404, "")
	})
	c.step("a wrong token is a SCIM 401", func() error {
		a, err := c.send(http.MethodGet, "/Users?count=1", request{auth: "Bearer wrong-" + c.run})
		if err != nil {
			return err
		}
		if a.header.Get("WWW-Authenticate") == "" {
			return fmt.Errorf("%s: no WWW-Authenticate header", a.request)
		}
		return a.wantError(401, "")
	})
}

func (c *cyberArk) resourceType(name, urn string) {
	c.step("GET /ResourceTypes/"+name, func() error {
		a, err := c.call(http.MethodGet, "/ResourceTypes/"+name, nil, 200)
		if err != nil {
			return err
		}
		want := object{"id": name, "name": name, "endpoint": "/" + name + "s", "schema": urn}
		return contains(a.body, want, "resource type")
	})
}

// schema reads a schema and demands these attributes in it.
func (c *cyberArk) schema(path, urn string, attributes ...string) {
	c.step("GET "+path, func() error {
		a, err := c.call(http.MethodGet, path, nil, 200)
		if err != nil {
			return err
		}
		var names []string
		for _, attr := range elements(a.body["attributes"]) {
			names = append(names, text(attr["name"]))
		}
		for _, want := range attributes {
			if !slices.Contains(names, want) {
				return fmt.Errorf("%s: no attribute %q among %v", a.request, want, names)
			}
		}
		return contains(a.body, object{"id": urn}, "schema")
	})
}

func (c *cyberArk) oneUser(path string) error {
	a, err := c.call(http.MethodGet, path, nil, 200)
	if err != nil {
		return err
	}
	total, list, err := a.resources()
	if err == nil && (len(list) > 1 || (total > 0) != (len(list) == 1)) {
		err = fmt.Errorf("%s: %d Resources, totalResults %d", a.request, len(list), total)
	}
	return err
}

// roleDialog is what the console shows when a role is mapped to groups.
func (c *cyberArk) roleDialog() {
	c.title("B Role dialog")
	c.step("GET /Groups: every group once, page by page", func() error {
		_, err := c.allGroups()
		return err
	})
}

// preview is a test run of the client, which only reads.
func (c *cyberArk) preview() {
	c.title("C Preview")
	c.step("lookup of someone who is not there: 200 with no results", func() error { return c.absent(c.ada) })
	c.step("nothing was written: the same again", func() error { return c.absent(c.ada) })
}

func (c *cyberArk) absent(u *person) error {
	list, err := c.lookup(u.userName())
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("the lookup of %s finds %d users, want none", u.userName(), len(list))
	}
	return err
}

// firstSync creates the users; the second time they are there already.
func (c *cyberArk) firstSync() {
	c.title("D First sync")
	if c.again {
		c.step("lookup of both users finds them", func() error { return errors.Join(c.finds(c.ada), c.finds(c.bob)) })
		c.step("POST of both users: 409 uniqueness", func() error { return errors.Join(c.taken(c.ada), c.taken(c.bob)) })
	} else {
		c.step("lookup: nobody yet", func() error { return errors.Join(c.absent(c.ada), c.absent(c.bob)) })
		c.step("POST /Users with the enterprise extension: 201, id, Location", func() error { return c.post(c.ada) })
		c.step("POST /Users with the core schema only: 201, id, Location", func() error { return c.post(c.bob) })
	}
	c.step("GET /Users/<id>: what was sent is there", func() error {
		return errors.Join(c.user(c.ada, c.ada.record), c.user(c.bob, c.bob.record))
	})
}

// taken posts u once more and demands that it is refused.
func (c *cyberArk) taken(u *person) error {
	a, err := c.send(http.MethodPost, "/Users", request{body: u.record})
	if err != nil {
		return err
	}
	return a.wantError(409, "uniqueness")
}

// existing meets a user that is there already.
func (c *cyberArk) existing() {
	c.title("E Exists already")
	c.step("lookup finds the user, with its id", func() error { return c.finds(c.ada) })
	c.step("PUT of the same user: 200, the version stays", func() error { return c.putSame(c.ada, c.ada.record) })
	c.step("POST of a taken userName, in any letter case: 409 uniqueness", func() error {
		loud := &person{record: with(c.ada.record, object{"userName": strings.ToUpper(c.ada.userName())})}
		return errors.Join(c.taken(c.ada), c.taken(loud))
	})
}

// form is one way to write the same change of members.
type form struct {
	name string
	body func(ids ...string) object
}

// addForms are the ways clients add members to a group.
var addForms = []form{
	{"one add with a path", func(ids ...string) object {
		return operations(object{"op": "add", "path": "members", "value": members(ids...)})
	}},
	{"a wrapper without a path", func(ids ...string) object {
		return operations(object{"op": "add", "value": object{"members": members(ids...)}})
	}},
	{"one operation for each member", func(ids ...string) object {
		var ops []object
		for _, id := range ids {
			ops = append(ops, object{"op": "add", "path": "members", "value": members(id)})
		}
		return operations(ops...)
	}},
	{`"Add" with a capital`, func(ids ...string) object {
		return operations(object{"op": "Add", "path": "members", "value": members(ids...)})
	}},
	{"a body of SCIM 1.1", func(ids ...string) object {
		return object{"schemas": []any{"urn:scim:schemas:core:1.0"}, "members": members(ids...)}
	}},
}

// addMembers pushes the roles: a group for each way to add members.
func (c *cyberArk) addMembers() {
	c.title("F Groups")
	for i, f := range addForms {
		name := groupName(i)
		c.step("GET /Groups, POST if "+name+" is missing", func() error {
			id, err := c.destination(name)
			c.groupIDs[name] = id
			return err
		})
		c.step("PATCH add: "+f.name+"; twice, the version stays", func() error {
			return c.twice(c.groupIDs[name], f.body(c.ada.id, c.bob.id), c.ada.id, c.bob.id)
		})
	}
}

// groupName names the group on which the i-th form is played.
func groupName(i int) string { return fmt.Sprintf("Engineering %d", i+1) }

// twice patches a group two times: these are its members each time, and the
// second time changes no version. On a repeated sync neither does the first.
func (c *cyberArk) twice(group string, body any, want ...string) error {
	if c.ada.id == "" || c.bob.id == "" {
		return errNoUser
	}
	if err := c.patch(group, body); err != nil {
		return err
	}
	first, err := c.hasMembers(group, want...)
	if err != nil {
		return err
	}
	if err := c.patch(group, body); err != nil {
		return fmt.Errorf("the second time: %w", err)
	}
	second, err := c.hasMembers(group, want...)
	if err == nil && first != second {
		err = fmt.Errorf("PATCH /Groups/%s changed nothing the second time, yet version %s became %s", group, first, second)
	}
	return err
}

// update changes users by PUT, the only way this client knows.
func (c *cyberArk) update() {
	c.title("G Update")
	changed := with(c.ada.record, object{"displayName": "Ada King", schemaEnterprise: object{"department": "Engines"}})
	c.step("PUT with another displayName and department", func() error {
		before, after, err := c.put(c.ada, changed)
		if err != nil {
			return err
		}
		if (before != after) == c.again {
			return fmt.Errorf("PUT /Users/%s: version %s became %s", c.ada.id, before, after)
		}
		return c.user(c.ada, changed)
	})
	c.ada.record = changed
	c.step("the same PUT: the version stays", func() error { return c.putSame(c.ada, changed) })
	c.step("PUT without active: active and the version stay", func() error {
		return errors.Join(c.putSame(c.ada, with(changed, object{"active": nil})), c.user(c.ada, object{"active": true}))
	})
	c.step("PUT echoing id, meta and groups: ignored, the version stays", func() error { return c.echo(c.ada) })
	c.step("PUT with another id in the body: 400", func() error {
		a, err := c.send(http.MethodPut, "/Users/"+c.ada.id, request{body: with(changed, object{"id": "someone-else"})})
		if err != nil {
			return err
		}
		return a.wantError(400, "")
	})
}

// echo reads u and puts back exactly what it read.
func (c *cyberArk) echo(u *person) error {
	if u.id == "" {
		return errNoUser
	}
	a, err := c.call(http.MethodGet, "/Users/"+u.id, nil, 200)
	if err != nil {
		return err
	}
	if len(elements(a.body["groups"])) == 0 {
		return fmt.Errorf("%s: no groups, though the user is a member of some", a.request)
	}
	return c.putSame(u, a.body)
}
