// OpenAI's client in node, against the server of the environment; says what it got as one line of JSON.
import net from "node:net";
import OpenAI, { toFile } from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";

const { BASE, KEY, WAV } = process.env;
const client = new OpenAI({ apiKey: KEY, baseURL: BASE, maxRetries: 0 });
const messages = [{ role: "user", content: "When is a train?" }];
const got = {};

const whole = await client.chat.completions.create({ model: "m1", messages });
got.whole = whole.choices[0].message.content;

const stream = await client.chat.completions.create({ model: "m1", messages, stream: true });
got.parts = [];
for await (const chunk of stream) {
  if (chunk.choices[0]?.delta?.content) got.parts.push(chunk.choices[0].delta.content);
}
const helped = client.chat.completions.stream({ model: "m1", messages });
got.helped = (await helped.finalChatCompletion()).choices[0].message.content;

got.models = [];
for await (const model of client.models.list()) got.models.push(model.id);
got.model = (await client.models.retrieve(got.models[0])).id;

const file = await toFile(Buffer.from(WAV, "base64"), "a.wav", { type: "audio/wav" });
got.words = (await client.audio.transcriptions.create({ model: "whisper-1", file })).text;

const raised = async (call) => {
  try {
    await call();
    return null;
  } catch (error) {
    return [error.constructor.name, error.status, error.code, typeof error.error?.message];
  }
};
const wrong = new OpenAI({ apiKey: "sk-wrong", baseURL: BASE, maxRetries: 0 });
got.errors = {
  key: await raised(() => wrong.models.list()),
  model: await raised(() => client.models.retrieve("nothing")),
  messages: await raised(() => client.chat.completions.create({ model: "m1", messages: "none" })),
  moderations: await raised(() => client.moderations.create({ input: "a" })),
};

const secret = await client.realtime.clientSecrets.create({ session: { type: "transcription" } }, { query: { person: "ada" } });
const page = new OpenAI({ apiKey: secret.value, baseURL: BASE });
// the client always asks for TLS, which a proxy would end: here there is none
const options = { createConnection: (to) => net.connect({ host: to.host, port: to.port }) };
const samples = Buffer.from(WAV, "base64").subarray(44).toString("base64"); // after WAV's header
got.events = await new Promise((resolve, reject) => {
  const realtime = new OpenAIRealtimeWS({ model: "gpt-realtime", options }, page);
  const events = [];
  realtime.on("error", reject);
  realtime.on("event", (event) => {
    events.push(event.type);
    if (event.type === "session.created") {
      realtime.send({ type: "session.update", session: { type: "transcription", audio: { input: { turn_detection: null } } } });
    } else if (event.type === "session.updated") {
      realtime.send({ type: "input_audio_buffer.append", audio: samples });
      realtime.send({ type: "input_audio_buffer.commit" });
    } else if (event.type === "conversation.item.input_audio_transcription.completed") {
      realtime.close();
      resolve(events);
    }
  });
});
console.log(JSON.stringify(got));
