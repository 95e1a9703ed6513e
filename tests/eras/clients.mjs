// `node clients.mjs <v1|v2|v1-sse> URL`: a TypeScript SDK asks a server everything it can, and prints what it heard as JSON.
// v1 is @modelcontextprotocol/sdk (2025-11-25 and before), v2 is @modelcontextprotocol/client (2026-07-28).
// The packages are found from NODE_HOME: this file stands where none are installed.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [kind, url] = process.argv.slice(2);
const require = createRequire(`${process.env.NODE_HOME}/here.js`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const info = { name: 'eras-ts', version: '1.0' };
const capabilities = { sampling: {}, elicitation: {}, roots: { listChanged: true } };
const answers = {
  'sampling/createMessage': ({ params }) => ({
    role: 'assistant',
    model: 'test-model',
    stopReason: 'endTurn',
    content: { type: 'text', text: `to “${params.messages[0].content.text ?? params.messages[0].content[0].text}”: 42` },
  }),
  'elicitation/create': () => ({ action: 'accept', content: { username: 'Alice', email: 'Alice' } }),
  'roots/list': () => ({ roots: [{ uri: 'file:///work/here', name: 'Here' }] }),
};

async function connected() {
  if (kind === 'v2') {
    const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');
    const client = new Client(info, { capabilities, versionNegotiation: { mode: 'auto' } });
    for (const [method, answer] of Object.entries(answers)) client.setRequestHandler(method, async (asked) => answer(asked));
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
    return client;
  }
  const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
  const types = await load('@modelcontextprotocol/sdk/types.js');
  const client = new Client(info, { capabilities });
  client.setRequestHandler(types.CreateMessageRequestSchema, async (asked) => answers['sampling/createMessage'](asked));
  client.setRequestHandler(types.ElicitRequestSchema, async (asked) => answers['elicitation/create'](asked));
  client.setRequestHandler(types.ListRootsRequestSchema, async (asked) => answers['roots/list'](asked));
  if (kind === 'v1-sse') {
    const { SSEClientTransport } = await load('@modelcontextprotocol/sdk/client/sse.js');
    await client.connect(new SSEClientTransport(new URL(url)));
  } else {
    const { StreamableHTTPClientTransport } = await load('@modelcontextprotocol/sdk/client/streamableHttp.js');
    await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  }
  return client;
}

const client = await connected();
const text = async (name, args = {}) => {
  const result = await client.callTool({ name, arguments: args });
  return result.isError ? `error: ${result.content[0].text}` : result.content[0].text;
};
const heard = { tools: [] };
for (let cursor; ; ) {
  const page = await client.listTools(cursor === undefined ? {} : { cursor });
  heard.tools.push(...page.tools.map((tool) => tool.name));
  cursor = page.nextCursor;
  if (cursor === undefined) break;
}
heard.echo = await text('echo', { text: 'Grüße 😀' });
heard.sum = (await client.callTool({ name: 'add', arguments: { a: 2, b: 3.5 } })).structuredContent;
if (process.env.ERAS_ALL) {
  heard.progress = [];
  const asked = { name: 'test_tool_with_progress', arguments: {} };
  const onprogress = ({ progress }) => heard.progress.push(progress);
  if (kind === 'v2') await client.callTool(asked, { onprogress });
  else await client.callTool(asked, undefined, { onprogress });
  heard.sampling = await text('test_sampling', { prompt: '6 by 7?' });
  heard.elicitation = await text('test_elicitation', { message: 'Who is it?' });
  heard.roots = await text('test_input_required_result_list_roots');
  heard.prompt = (await client.getPrompt({ name: 'test_simple_prompt' })).messages[0].content.text;
  heard.resource = (await client.readResource({ uri: 'test://static-text' })).contents[0].text;
  const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' };
  heard.completion = (await client.complete({ ref, argument: { name: 'arg1', value: 'par' } })).completion.values;
  heard.instructions = client.getInstructions();
}
await client.close();
console.log(JSON.stringify(heard));
process.exit(0);
