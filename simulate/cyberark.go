package simulate

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// URNs that travel in bodies.
const (
	schemaUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	schemaGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	schemaEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	schemaPatch      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	schemaList       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	schemaError      = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// person is a user as the client's own directory holds it: the client sends
// record whole, and remembers under which id the server keeps it.
type person struct {
	id     string
	record object
}

// cyberArk is one provisioning run.
type cyberArk struct {
	*play

	options  Options
	ada, bob *person
	// groupIDs are the ids by display name, as the client found or made them.
	groupIDs map[string]string
	// again is set while D to G are played for the second time.
	again bool
	// as is how the client authorizes in section O.
	as string
}

// people are the users of a run.
func people(run string) (ada, bob *person) {
	ada = &person{record: object{
		"schemas":     []any{schemaUser, schemaEnterprise},
		"userName":    "ada.l." + run + "@example.com",
		"active":      true,
		"displayName": "Ada Lovelace",
		"name":        object{"givenName": "Ada", "familyName": "Lovelace", "formatted": "Ada Lovelace"},
		"emails": []any{object{
			"value": "ada.l." + run + "@example.com", "type": "work", "primary": true,
		}},
		"phoneNumbers":   []any{object{"value": "+1 555 0100", "type": "work"}},
		schemaEnterprise: object{"department": "Analysis"},
	}}
	bob = &person{record: object{
		"schemas":  []any{schemaUser},
		"userName": "bob.k." + run + "@example.com.3",
		"active":   true,
		"name":     object{"givenName": "Bob", "familyName": "Kahn"},
	}}
	return ada, bob
}

// cyberArk plays the script from A to P. The letters are those of the sections
// of a run: connect, choose groups, look around, sync, change, take away.
func (p *play) cyberArk(o Options) {
	c := &cyberArk{play: p, options: o, groupIDs: map[string]string{}}
	c.ada, c.bob = people(p.run)
	c.verify()
	c.roleDialog()
	c.preview()
	c.sync()
	c.syncAgain()
	c.rename()
	c.removal()
	c.newDestination()
	c.disable()
	c.remove()
	c.authorization()
	c.faults()
}

// sync is D to G: what a sync of the whole directory does.
func (c *cyberArk) sync() {
	c.firstSync()
	c.existing()
	c.addMembers()
	c.update()
}

// syncAgain repeats D to G, as a client does that syncs the whole directory
// every night: nothing may change, neither contents nor versions.
func (c *cyberArk) syncAgain() {
	before, err := c.snapshot()
	c.again = true
	c.sync()
	c.again = false
	c.title("G Update")
	c.step("after D to G again: contents and versions are those of the first time", func() error {
		if err != nil {
			return err
		}
		after, err := c.snapshot()
		if err != nil {
			return err
		}
		for path, text := range before {
			if after[path] != text {
				return fmt.Errorf("%s was %s and is %s", path, text, after[path])
			}
		}
		return nil
	})
}

// snapshot reads everything that the run has made, as text by path.
func (c *cyberArk) snapshot() (map[string]string, error) {
	texts := map[string]string{}
	var paths []string
	for _, id := range c.users {
		paths = append(paths, "/Users/"+id)
	}
	for _, id := range c.groups {
		paths = append(paths, "/Groups/"+id)
	}
	for _, path := range paths {
		a, err := c.call(http.MethodGet, path, nil, 200)
		if err != nil {
			return nil, err
		}
		texts[path] = string(a.raw)
	}
	return texts, nil
}

// title begins a section.
func (c *cyberArk) title(s string) {
	switch {
	case c.again:
		s += ", again"
	case c.as != "":
		s = "O " + c.as + ": " + s
	}
	c.section = s
}

// userName is the login name at the moment.
func (u *person) userName() string { return text(u.record["userName"]) }

// lookup finds users by name, as the client does before each write.
func (c *cyberArk) lookup(userName string) ([]object, error) {
	filter := url.PathEscape(`userName eq "` + userName + `"`)
	a, err := c.call(http.MethodGet, "/Users?filter="+filter, nil, 200)
	if err != nil {
		return nil, err
	}
	total, list, err := a.resources()
	if err == nil && total != len(list) {
		err = fmt.Errorf("%s: totalResults is %d, with %d Resources", a.request, total, len(list))
	}
	return list, err
}

// finds demands that the lookup of u finds exactly it.
func (c *cyberArk) finds(u *person) error {
	list, err := c.lookup(u.userName())
	if err != nil {
		return err
	}
	if len(list) != 1 || list[0]["id"] != u.id {
		return fmt.Errorf("the lookup of %s finds %d users, want the one with id %s", u.userName(), len(list), u.id)
	}
	return nil
}

// post creates u and checks the answer.
func (c *cyberArk) post(u *person) error {
	a, err := c.call(http.MethodPost, "/Users", u.record, 201)
	if err != nil {
		return err
	}
	if a.id() == "" {
		return errors.New("POST /Users: the answer has no id")
	}
	u.id = a.id()
	c.users = append(c.users, u.id)
	return errors.Join(a.located("/Users/"+u.id), contains(a.body, u.record, "user"))
}

// located demands a Location header that ends with path and equals meta.location.
func (a *answer) located(path string) error {
	header, meta := a.header.Get("Location"), text(dig(a.body, "meta", "location"))
	if header == "" || header != meta || !strings.HasSuffix(header, path) {
		return fmt.Errorf("%s: Location is %q and meta.location %q; want both the same, ending with %s", a.request, header, meta, path)
	}
	return nil
}

// put replaces u by body, demands its id in the answer, and returns the versions
// before and after.
func (c *cyberArk) put(u *person, body object) (before, after string, err error) {
	if u.id == "" {
		return "", "", errNoUser
	}
	old, err := c.call(http.MethodGet, "/Users/"+u.id, nil, 200)
	if err != nil {
		return "", "", err
	}
	a, err := c.call(http.MethodPut, "/Users/"+u.id, body, 200)
	if err != nil {
		return "", "", err
	}
	if a.id() != u.id {
		return "", "", fmt.Errorf("%s: id is %q", a.request, a.id())
	}
	if old.version() == "" || a.version() == "" {
		return "", "", fmt.Errorf("%s: meta.version is missing", a.request)
	}
	return old.version(), a.version(), nil
}

var (
	errNoUser  = errors.New("there is no user to work with: an earlier step failed")
	errNoGroup = errors.New("there is no group to work with: an earlier step failed")
)

// putSame is a put that must change nothing.
func (c *cyberArk) putSame(u *person, body object) error {
	before, after, err := c.put(u, body)
	if err == nil && before != after {
		err = fmt.Errorf("PUT /Users/%s changed nothing but the version: %s became %s", u.id, before, after)
	}
	return err
}

// user reads u and demands what want says.
func (c *cyberArk) user(u *person, want object) error {
	if u.id == "" {
		return errNoUser
	}
	a, err := c.call(http.MethodGet, "/Users/"+u.id, nil, 200)
	if err != nil {
		return err
	}
	return contains(a.body, want, "user")
}

// allGroups lists /Groups page by page, as the client does to match names.
func (c *cyberArk) allGroups() ([]object, error) {
	var all []object
	seen := map[string]bool{}
	for {
		a, err := c.call(http.MethodGet, fmt.Sprintf("/Groups?startIndex=%d&excludedAttributes=members", len(all)+1), nil, 200)
		if err != nil {
			return nil, err
		}
		total, page, err := a.resources()
		if err != nil {
			return nil, err
		}
		for _, g := range page {
			if seen[text(g["id"])] {
				return nil, fmt.Errorf("%s: group %v is in the list twice", a.request, g["id"])
			}
			seen[text(g["id"])] = true
		}
		all = append(all, page...)
		if len(all) >= total {
			return all, nil
		}
		if len(page) == 0 {
			return nil, fmt.Errorf("%s: totalResults is %d, but there are only %d groups", a.request, total, len(all))
		}
	}
}

// destination finds the group with this name, or makes it.
func (c *cyberArk) destination(name string) (id string, err error) {
	name += " " + c.run
	groups, err := c.allGroups()
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		if g["displayName"] == name {
			return text(g["id"]), nil
		}
	}
	if c.again {
		return "", fmt.Errorf("GET /Groups does not list %q, which the run made before", name)
	}
	a, err := c.call(http.MethodPost, "/Groups", object{"schemas": []any{schemaGroup}, "displayName": name}, 201)
	if err != nil {
		return "", err
	}
	if a.id() == "" {
		return "", errors.New("POST /Groups: the answer has no id")
	}
	c.groups = append(c.groups, a.id())
	c.groupIDs[strings.TrimSuffix(name, " "+c.run)] = a.id()
	return a.id(), a.located("/Groups/" + a.id())
}

// patch sends a PATCH to a group, whole as given.
func (c *cyberArk) patch(group string, body any) error {
	if group == "" {
		return errNoGroup
	}
	_, err := c.call(http.MethodPatch, "/Groups/"+group, body, 200, 204)
	return err
}

// operations makes the body of a PATCH.
func operations(ops ...object) object {
	list := make([]any, len(ops))
	for i, op := range ops {
		list[i] = op
	}
	return object{"schemas": []any{schemaPatch}, "Operations": list}
}

// members makes the value of members in a body.
func members(ids ...string) []any {
	list := make([]any, len(ids))
	for i, id := range ids {
		list[i] = object{"value": id}
	}
	return list
}

// hasMembers demands exactly these members and returns the group's version.
func (c *cyberArk) hasMembers(group string, ids ...string) (version string, err error) {
	if group == "" {
		return "", errNoGroup
	}
	a, err := c.call(http.MethodGet, "/Groups/"+group, nil, 200)
	if err != nil {
		return "", err
	}
	var got []string
	for _, m := range elements(a.body["members"]) {
		got = append(got, text(m["value"]))
	}
	slices.Sort(got)
	want := slices.Clone(ids)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return "", fmt.Errorf("%s: members are %v, want %v", a.request, got, want)
	}
	return a.version(), nil
}
