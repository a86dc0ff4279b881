package reference

import (
	"github.com/muster-scim/muster/scim"
)

// URNs of SCIM's messages (RFC 7644) and of what describes the server (RFC 7643).
const (
	messages = "urn:ietf:params:scim:api:messages:2.0:"
	core     = "urn:ietf:params:scim:schemas:core:2.0:"
)

func urn(of string) schema { return listOf(schema{"const": of}) }

// messageSchemas are the bodies of SCIM that are no resources. They belong to RFC 7644,
// not to this server, and to no message of the contract, whose form in JSON is another.
func messageSchemas(l scim.Limits) map[string]schema {
	method := schema{"enum": []string{"POST", "PUT", "PATCH", "DELETE"}}
	return map[string]schema{
		"Error": described(object(map[string]any{
			"schemas": urn(messages + "Error"), "status": described(schema{"type": "string", "pattern": "^[45][0-9][0-9]$"}, "The status of the answer."),
			"scimType": described(schema{"enum": scimTypes()}, "What was wrong, where RFC 7644 or RFC 9865 has a word for it."),
			"detail":   described(schema{"type": "string"}, "What was wrong, for people."),
		}, "schemas", "status"), "Why a request failed (RFC 7644 section 3.12)."),
		"PatchOp": described(object(map[string]any{
			"schemas": urn(messages + "PatchOp"),
			"Operations": schema{"type": "array", "minItems": 1, "maxItems": l.PatchOperations, "items": object(map[string]any{
				"op":    schema{"enum": []string{"add", "remove", "replace"}},
				"path":  described(schema{"type": "string"}, `An attribute, or elements of it: emails[type eq "work"].value. Absent: value is an object of attributes.`),
				"value": schema{},
			}, "op")},
		}, "Operations"), "Changes, done in order, all or none (RFC 7644 section 3.5.2)."),
		"SearchRequest": described(object(map[string]any{
			"schemas": urn(messages + "SearchRequest"), "attributes": listOf(text), "excludedAttributes": listOf(text),
			"filter": schema{"type": "string", "maxLength": l.FilterLength}, "sortBy": text, "sortOrder": schema{"enum": []string{"ascending", "descending"}},
			"startIndex": integer, "count": integer, "cursor": text,
		}), "What is asked for stands in the body, not in the query (RFC 7644 section 3.4.3)."),
		"BulkRequest": described(object(map[string]any{
			"schemas": urn(messages + "BulkRequest"), "failOnErrors": described(schema{"type": "integer", "minimum": 0}, "After this many failed operations the rest is not done; 0: all are."),
			"Operations": schema{"type": "array", "maxItems": l.BulkOperations, "items": object(map[string]any{
				"method": method, "path": described(schema{"type": "string"}, "/Users for POST, /Users/ID for all others."),
				"bulkId":  described(schema{"type": "string"}, `For POST: "bulkId:X" stands for the id of what it creates wherever another operation names it.`),
				"version": described(schema{"type": "string"}, "As If-Match."), "data": described(schema{"type": "object"}, "The body of the single request."),
			}, "method", "path")},
		}, "Operations"), "Many changes in one request (RFC 7644 section 3.7)."),
		"BulkResponse": described(object(map[string]any{
			"schemas": urn(messages + "BulkResponse"),
			"Operations": listOf(object(map[string]any{
				"method": method, "bulkId": text, "version": text, "location": schema{"type": "string", "format": "uri"}, "status": text, "response": refTo("Error"),
			}, "status")),
		}, "schemas", "Operations"), "What came of each operation, in the order of the request."),
	}
}

// scimTypes are the words of scimType.
func scimTypes() (words []string) {
	for r := scim.Internal; r <= scim.PositionGone; r++ {
		if r.IsSCIMType() {
			words = append(words, r.String())
		}
	}
	return words
}

// listSchema is a page of a list (RFC 7644 section 3.4.2, RFC 9865).
func listSchema(items schema) schema {
	return object(map[string]any{
		"schemas": urn(messages + "ListResponse"), "totalResults": described(schema{"type": "integer"}, "How many there are in all."),
		"startIndex": described(schema{"type": "integer"}, "The index of the first; absent where the page was asked for by a cursor."), "itemsPerPage": integer,
		"nextCursor": described(schema{"type": "string"}, "The cursor of the next page; absent: this is the last, or the page was not asked for by a cursor."),
		"Resources":  listOf(items),
	}, "schemas", "totalResults", "itemsPerPage", "Resources")
}

// descriptionSchemas are what describes the server (RFC 7643 sections 5 to 7, RFC 9865
// section 4).
func descriptionSchemas() map[string]schema {
	meta := object(map[string]any{"resourceType": text, "location": schema{"type": "string", "format": "uri"}}, "resourceType")
	feature := func(more map[string]any) schema {
		more["supported"] = truth
		return object(more, "supported")
	}
	none := map[string]any{}
	attribute := object(map[string]any{
		"name": text, "type": schema{"enum": []string{"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"}},
		"multiValued": truth, "description": text, "required": truth, "canonicalValues": listOf(text), "caseExact": truth,
		"mutability": schema{"enum": []string{"readOnly", "readWrite", "immutable", "writeOnly"}},
		"returned":   schema{"enum": []string{"always", "never", "default", "request"}},
		"uniqueness": schema{"enum": []string{"none", "server", "global"}}, "referenceTypes": listOf(text), "subAttributes": listOf(refTo("Attribute")),
	}, "name", "type", "multiValued", "required", "caseExact", "mutability", "returned", "uniqueness")
	return map[string]schema{
		"Attribute": described(attribute, "An attribute of a schema (RFC 7643 section 7)."),
		"Schema": described(object(map[string]any{
			"schemas": urn(core + "Schema"), "id": text, "name": text, "description": text, "attributes": listOf(refTo("Attribute")), "meta": meta,
		}, "schemas", "id", "attributes", "meta"), "A schema (RFC 7643 section 7)."),
		"ResourceType": described(object(map[string]any{
			"schemas": urn(core + "ResourceType"), "id": text, "name": text, "description": text, "endpoint": text, "schema": text,
			"schemaExtensions": listOf(object(map[string]any{"schema": text, "required": truth}, "schema", "required")), "meta": meta,
		}, "schemas", "id", "name", "endpoint", "schema", "meta"), "A resource type (RFC 7643 section 6)."),
		"ServiceProviderConfig": described(object(map[string]any{
			"schemas": urn(core + "ServiceProviderConfig"), "documentationUri": text, "patch": feature(none), "changePassword": feature(none), "sort": feature(none), "etag": feature(none),
			"bulk": feature(map[string]any{"maxOperations": integer, "maxPayloadSize": integer}), "filter": feature(map[string]any{"maxResults": integer}),
			"pagination":            object(map[string]any{"cursor": truth, "index": truth, "defaultPaginationMethod": text, "defaultPageSize": integer, "maxPageSize": integer, "cursorTimeout": integer}, "cursor", "index"),
			"securityEvents":        object(map[string]any{"asyncRequest": text, "eventUris": listOf(text)}, "asyncRequest", "eventUris"),
			"authenticationSchemes": listOf(object(map[string]any{"type": text, "name": text, "description": text, "specUri": text, "primary": truth}, "type", "name", "description")),
			"meta":                  meta,
		}, "schemas", "patch", "bulk", "filter", "changePassword", "sort", "etag", "authenticationSchemes"), "What the server supports, and its limits (RFC 7643 section 5)."),
	}
}
