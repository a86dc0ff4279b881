package console

import (
	"cmp"
	"context"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// liveSuffix is what the address of a list that is followed ends with.
const liveSuffix = "-live"

// liveEvery is how often a list that is followed is shown anew at most.
const liveEvery = time.Second

// A listReader reads the page of a list that the address of a visit asks for: what its
// template shows, and the listing in that.
type listReader func(v *visit) (data any, of *listing, err error)

// showList shows a list, the first page of which is followed.
func (v *visit) showList(name, resourceType, title string, read listReader) error {
	stream, err := v.liveList(name, resourceType)
	if err != nil {
		return err
	}
	data, of, err := read(v)
	if isPageGone(err) {
		return v.redirect(of.url(""))
	}
	if err != nil {
		return err
	}
	if of.After == "" && of.Problem == "" {
		of.Stream = stream
	}
	return v.show(name, page{Title: title, Section: name, Data: data})
}

// liveList is the address that keeps a list of resources of a type up to date. It must be
// asked for before the list is read, so that nothing falls between the two.
func (v *visit) liveList(name, resourceType string) (string, error) {
	out, err := v.changes.ListChanges(v.Context(), &musterv1.ListChangesRequest{Filter: ofType(resourceType), AfterPosition: -1})
	if err != nil {
		return "", err
	}
	q := v.URL.Query()
	q.Del("after")
	q.Set("position", number64(out.GetHead()))
	return root + name + liveSuffix + "?" + q.Encode(), nil
}

func ofType(resourceType string) *musterv1.ChangeFilter {
	return &musterv1.ChangeFilter{ResourceTypes: []string{resourceType}}
}

// followList sends the rows of a list anew when resources of its type have changed. Many
// changes within a second are one.
func (v *visit) followList(name, resourceType string, read listReader) error {
	req := &musterv1.WatchChangesRequest{Filter: ofType(resourceType), AfterPosition: parse64(cmp.Or(v.lastEvent(), v.URL.Query().Get("position")))}
	return v.stream(func(ctx context.Context, send func(event) error) error {
		changed, failed := make(chan int64, 1), make(chan error, 1)
		go func() { failed <- v.newest(ctx, req, changed) }()
		for {
			select {
			case err := <-failed:
				return err
			case at := <-changed:
				list, _, err := read(v)
				if err != nil {
					return err
				}
				html, err := v.render(name, "rows", list)
				if err != nil {
					return err
				}
				if err := send(event{ID: number64(at), HTML: html}); err != nil {
					return err
				}
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(liveEvery):
			}
		}
	})
}

// newest keeps in a channel of one place the position of the newest change that came.
func (v *visit) newest(ctx context.Context, req *musterv1.WatchChangesRequest, changed chan int64) error {
	stream, err := v.changes.WatchChanges(ctx, req)
	if err != nil {
		return err
	}
	for {
		out, err := stream.Recv()
		if err != nil {
			return err
		}
		if c := out.GetChange(); c != nil {
			select {
			case <-changed:
			default:
			}
			changed <- c.GetPosition()
		}
	}
}
