// Vercel's AI SDK: chat completions through openai-compatible, Responses through openai, its default.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const about = { baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY };
const compatible = createOpenAICompatible({
  name: "lyceum",
  includeUsage: true,
  supportsStructuredOutputs: true,
  ...about,
});
const models = { chat: compatible("auto"), responses: createOpenAI(about)("auto") };
const schema = z.object({ name: z.string(), population: z.number() });
const seen = {};

for (const [name, model] of Object.entries(models)) {
  const called = [];
  const weather = tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => {
      called.push(city);
      return "sunny";
    },
  });
  const common = { model, maxRetries: 0 };
  const stream = streamText({ ...common, prompt: "hi" });
  let text = "";
  for await (const piece of stream.textStream) text += piece;
  const turn = await generateText({
    ...common,
    prompt: "weather?",
    tools: { weather },
    stopWhen: stepCountIs(3),
  });
  seen[name] = {
    chat: (await generateText({ ...common, prompt: "hi" })).text,
    stream: [text, await stream.finishReason, (await stream.usage).outputTokens > 0],
    tool: [turn.text, called],
    parsed: (await generateObject({ ...common, prompt: "Paris", schema })).object,
  };
}
console.log(JSON.stringify(seen));
