package scim

// CountUse adds to each attribute that the resource has a value of, by its path;
// sub-attributes count once for the resource, however many values have them. Links are
// not in a resource as it is stored, so they are not counted.
func (rt *ResourceType) CountUse(r Resource, counts map[string]int64) {
	for _, a := range rt.Attributes() {
		o := objectOf(r).holder(a, false)
		n := o.count(a)
		if n == 0 || a.Link {
			continue
		}
		counts[a.Path]++
		for _, sub := range a.Sub {
			for i := range n {
				if o.child(a, i).count(sub) > 0 {
					counts[sub.Path]++
					break
				}
			}
		}
	}
}
