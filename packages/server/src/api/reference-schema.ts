import { escapeHtml, inlineHtml } from './html.ts';

/** As much of a JSON schema as the reference shows. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
}

/** A short type in HTML: links to components, `a or b`, `list of …`. */
export function describeType(schema: Schema): string {
  if (schema.$ref !== undefined) {
    const name = escapeHtml(schema.$ref.split('/').at(-1) ?? '');
    return `<a href="#schema-${name}">${name}</a>`;
  }
  if (schema.const !== undefined) return `<code>${escapeHtml(JSON.stringify(schema.const))}</code>`;
  if (schema.enum) return schema.enum.map((value) => `<code>${escapeHtml(JSON.stringify(value))}</code>`).join(' | ');
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map(describeType))].join(' or ');
  if (schema.type === 'array') return `list of ${describeType(schema.items ?? {})}`;
  if (schema.type === undefined) return 'anything';
  const type = [schema.type].flat().join(' or ');
  return escapeHtml(schema.format === undefined ? type : `${type} (${schema.format})`);
}

/** The fields of an object schema as a table; nothing for other schemas. */
export function renderFields(schema: Schema): string {
  const fields = Object.entries(schema.properties ?? {});
  if (fields.length === 0) return `<p>${describeType(schema)}</p>`;
  const rows = fields.flatMap(([name, field]) => renderField(name, field, schema.required?.includes(name) ?? false));
  return `<table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>${rows.join('')}</table>`;
}

function renderField(name: string, field: Schema, required: boolean): string[] {
  const fallback = field.default === undefined ? '' : ` Default: \`${JSON.stringify(field.default)}\`.`;
  const row =
    `<tr><td><code>${escapeHtml(name)}</code></td><td>${describeType(field)}${required ? '' : ', optional'}</td>` +
    `<td>${inlineHtml(`${field.description ?? ''}${fallback}`)}</td></tr>`;
  const inner = field.type === 'array' ? field.items : field;
  const nested = Object.entries(inner?.properties ?? {}).flatMap(([child, schema]) =>
    renderField(`${name}.${child}`, schema, inner?.required?.includes(child) ?? false),
  );
  return [row, ...nested];
}
