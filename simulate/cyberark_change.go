package simulate

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

// rename changes the login name; the user stays the same.
func (c *cyberArk) rename() {
	c.title("H Rename")
	renamed := with(c.ada.record, object{"userName": "ada.king." + c.run + "@example.com"})
	c.step("PUT with a new userName: the same id", func() error {
		if _, _, err := c.put(c.ada, renamed); err != nil {
			return err
		}
		old := *c.ada
		c.ada.record = renamed
		return errors.Join(c.finds(c.ada), c.absent(&old))
	})
	c.step("memberships are kept", func() error {
		_, err := c.hasMembers(c.groupIDs[groupName(0)], c.ada.id, c.bob.id)
		return err
	})
}

// removeForms are the ways clients take members out of a group.
var removeForms = []form{
	{"a path and a list of values", func(ids ...string) object {
		return operations(object{"op": "remove", "path": "members", "value": members(ids...)})
	}},
	{`members[value eq "…"]`, func(ids ...string) object {
		return operations(object{"op": "remove", "path": `members[value eq "` + ids[0] + `"]`})
	}},
	{"a wrapper without a path", func(ids ...string) object {
		return operations(object{"op": "Remove", "value": object{"members": members(ids...)}})
	}},
	{"a path and a wrapper", func(ids ...string) object {
		return operations(object{"op": "remove", "path": "members", "value": object{"members": members(ids...)}})
	}},
	{"a body of SCIM 1.1 with operation delete", func(ids ...string) object {
		return object{
			"schemas": []any{"urn:scim:schemas:core:1.0"},
			"members": []any{object{"value": ids[0], "operation": "delete"}},
		}
	}},
}

// removal takes one of two members out, in each way, on a group of its own.
func (c *cyberArk) removal() {
	c.title("I Removal")
	for i, f := range removeForms {
		c.step("PATCH remove: "+f.name+"; twice is success", func() error {
			return c.twice(c.groupIDs[groupName(i)], f.body(c.ada.id), c.bob.id)
		})
	}
	c.step("PATCH remove that cannot be understood: an error, nobody is lost", func() error {
		group := c.groupIDs[groupName(0)]
		a, err := c.send(http.MethodPatch, "/Groups/"+group, request{
			body: operations(object{"op": "remove", "path": "nonsense[value eq"}),
		})
		if err != nil {
			return err
		}
		_, err = c.hasMembers(group, c.bob.id)
		return errors.Join(a.wantError(400, ""), err)
	})
}

// newDestination maps a role to another group name: the client makes a new
// group, moves the members, and forgets the old one.
func (c *cyberArk) newDestination() {
	c.title("J Re-named destination")
	old := c.groupIDs[groupName(0)]
	c.step("POST of the new group, and its member added", func() error {
		id, err := c.destination("Research")
		if err != nil {
			return err
		}
		return c.twice(id, addForms[0].body(c.bob.id), c.bob.id)
	})
	c.step("the member removed from the old group, which stays, empty", func() error {
		return c.twice(old, removeForms[0].body(c.bob.id))
	})
}

// disable is what the client does when someone loses the application.
func (c *cyberArk) disable() {
	c.title("L Disable")
	c.step("PUT active:false; the lookup still finds the user", func() error {
		if _, _, err := c.put(c.ada, with(c.ada.record, object{"active": false})); err != nil {
			return err
		}
		return errors.Join(c.user(c.ada, object{"active": false}), c.finds(c.ada))
	})
	c.step("PUT without active: the user stays disabled", func() error {
		_, _, err := c.put(c.ada, with(c.ada.record, object{"active": nil}))
		return errors.Join(err, c.user(c.ada, object{"active": false}))
	})
	c.step("PUT active:true: the same id", func() error {
		_, _, err := c.put(c.ada, c.ada.record)
		return errors.Join(err, c.user(c.ada, object{"active": true}))
	})
}

// remove deletes a user, and lets it come back as somebody new.
func (c *cyberArk) remove() {
	c.title("M Delete")
	kept, left := c.groupIDs[groupName(1)], c.groupIDs[groupName(2)]
	old := c.bob.id
	c.step("the member is removed from a group", func() error {
		return c.twice(left, removeForms[0].body(c.bob.id))
	})
	c.step("DELETE: 204, and again: 404", func() error {
		if old == "" {
			return errNoUser
		}
		if _, err := c.call(http.MethodDelete, "/Users/"+old, nil, 204); err != nil {
			return err
		}
		a, err := c.send(http.MethodDelete, "/Users/"+old, request{})
		if err != nil {
			return err
		}
		return a.wantError(404, "")
	})
	c.step("a group that had the user does not list it any more", func() error {
		_, err := c.hasMembers(kept)
		return err
	})
	c.step("POST of the same userName: 201 with a new id", func() error {
		if err := c.post(c.bob); err != nil {
			return err
		}
		if c.bob.id == old {
			return fmt.Errorf("the new user has the id %s of the deleted one", old)
		}
		return nil
	})
}

// authorization is the choice of authorization types in the client's console.
// A and D to P above are the bearer token's proof.
func (c *cyberArk) authorization() {
	usual := c.auth
	for i, a := range c.options.Others {
		if a.Header == "" {
			c.title("O Authorization types")
			c.notPlayed(a.Name, "it takes a credential of that kind")
			continue
		}
		as := *c
		as.as, c.auth = a.Name, a.Header
		as.ada, as.bob = people(fmt.Sprintf("%s.%d", c.run, i+1))
		as.verify()
		as.firstSync()
		c.auth = usual
	}
	c.title("O Authorization types")
	const revoked = "a credential that was revoked is a SCIM 401"
	if c.options.Revoked == "" {
		c.notPlayed(revoked, "it takes such a credential")
		return
	}
	c.step(revoked, func() error {
		return c.fault(http.MethodGet, "/Users?count=1", request{auth: c.options.Revoked}, 401, "")
	})
}

// faults are accidents and abuse.
func (c *cyberArk) faults() {
	c.title("P Faults")
	c.step("the connection drops after a POST; the retry is a 409, the lookup finds one user", c.dropped)
	c.step("20 members patched into one group at once: none is lost", c.parallel)
	c.step("a body of 16 MB: a SCIM 413", func() error {
		return c.fault(http.MethodPost, "/Users", request{body: []byte(`{"userName":"` + strings.Repeat("x", 16<<20) + `"}`), expect: true}, 413, "")
	})
	c.step("malformed JSON: 400 invalidSyntax", func() error {
		return c.fault(http.MethodPost, "/Users", request{body: []byte(`{"userName":`)}, 400, "invalidSyntax")
	})
	c.step("a filter that is none: 400 invalidFilter", func() error {
		return c.fault(http.MethodGet, "/Users?filter=userName%20is%20%22ada%22", request{}, 400, "invalidFilter")
	})
	c.step("a filter on an attribute that does not exist: 400 invalidFilter", func() error {
		return c.fault(http.MethodGet, "/Users?filter=shoeSize%20eq%20%2243%22", request{}, 400, "invalidFilter")
	})
	c.step("a bad request does not disturb the next", func() error { return c.finds(c.ada) })
	const limited = "too many requests: a SCIM 429 with Retry-After, after which it goes on"
	if c.options.Limited == "" {
		c.notPlayed(limited, "it takes a credential that is limited to few requests")
		return
	}
	c.step(limited, c.tooMany)
}

// tooMany sends requests until one is refused, and waits as long as it is told.
func (c *cyberArk) tooMany() error {
	const enough = 200
	r := request{auth: c.options.Limited, once: true}
	for range enough {
		a, err := c.send(http.MethodGet, "/Users?count=1", r)
		if err != nil {
			return err
		}
		if a.status == http.StatusOK {
			continue
		}
		if err := a.wantError(429, ""); err != nil {
			return err
		}
		if err := a.wait(c.ctx); err != nil {
			return err
		}
		if a, err = c.send(http.MethodGet, "/Users?count=1", r); err != nil {
			return err
		}
		return a.want(200)
	}
	return fmt.Errorf("%d requests with the limited credential were all let in", enough)
}

// fault sends what must be refused.
func (c *cyberArk) fault(method, path string, r request, status int, scimType string) error {
	a, err := c.send(method, path, r)
	if err != nil {
		return err
	}
	return a.wantError(status, scimType)
}

// dropped sends a POST on a connection of its own and hangs up without reading
// the answer, then does what a client does that does not know what became of it.
func (c *cyberArk) dropped() error {
	u := &person{record: object{"schemas": []any{schemaUser}, "userName": "dropped." + c.run + "@example.com"}}
	if err := c.hangUp(u.record); err != nil {
		return err
	}
	for range 50 { // the server may still be at it
		list, err := c.lookup(u.userName())
		if err != nil {
			return err
		}
		if len(list) == 1 {
			u.id = text(list[0]["id"])
			c.users = append(c.users, u.id)
			return c.taken(u)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the user of the dropped POST is not there after 5 seconds")
}

// hangUp writes a POST to a raw connection and closes it once it is sent.
func (c *cyberArk) hangUp(record object) error {
	body, err := json.Marshal(record)
	if err != nil {
		return err
	}
	req, err := c.newRequest(http.MethodPost, "/Users", request{body: body})
	if err != nil {
		return err
	}
	raw, err := httputil.DumpRequestOut(req, true)
	if err != nil {
		return err
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err = conn.Write(raw); err != nil {
		return err
	}
	// Wait for the first byte of the answer: the write is committed, and nobody
	// reads what became of it.
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err = conn.Read(make([]byte, 1))
	return err
}

// dial opens a connection to the server of the base URL.
func (c *cyberArk) dial() (net.Conn, error) {
	port := c.base.Port()
	if c.base.Scheme == "https" {
		if port == "" {
			port = "443"
		}
		d := &tls.Dialer{Config: c.secured}
		return d.DialContext(c.ctx, "tcp", net.JoinHostPort(c.base.Hostname(), port))
	}
	if port == "" {
		port = "80"
	}
	return (&net.Dialer{}).DialContext(c.ctx, "tcp", net.JoinHostPort(c.base.Hostname(), port))
}

// parallel adds twenty users to one group, each with a request of its own, all
// at the same time.
func (c *cyberArk) parallel() error {
	const n = 20
	group, err := c.destination("Crowd")
	if err != nil {
		return err
	}
	people := make([]*person, n)
	for i := range people {
		people[i] = &person{record: object{"schemas": []any{schemaUser}, "userName": fmt.Sprintf("crowd.%d.%s@example.com", i, c.run)}}
		if err := c.post(people[i]); err != nil {
			return err
		}
	}
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i, u := range people {
		wait.Go(func() { errs[i] = c.patch(group, addForms[0].body(u.id)) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	ids := make([]string, n)
	for i, u := range people {
		ids[i] = u.id
	}
	_, err = c.hasMembers(group, ids...)
	return err
}
