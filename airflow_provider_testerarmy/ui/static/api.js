// Requests to the tab's own endpoints. A failure becomes an ApiError whose title and text are shown to the viewer.

import { say } from "./text.js";

const ROOT = new URL("../", import.meta.url);

export class ApiError extends Error {
  constructor(status, title, text) {
    super(text);
    this.status = status;
    this.title = title;
  }
}

export function address(path, query = {}) {
  const url = new URL(`api/${path}`, ROOT);
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== "" && one !== null && one !== undefined) url.searchParams.append(name, one);
    }
  }
  return url;
}

export async function ask(path, query = {}, signal = undefined) {
  let response;
  try {
    response = await fetch(address(path, query), { credentials: "same-origin", signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, say("error.silent"), say("error.silent.more"));
  }
  if (response.ok) return response.json();
  throw errorFor(response.status);
}

/** Sends a change. The server refuses it unless it is JSON from a page of this Airflow. */
export async function send(path, query, change) {
  let response;
  try {
    response = await fetch(address(path, query), {
      method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body: JSON.stringify(change),
    });
  } catch {
    throw new ApiError(0, say("error.silent"), say("error.silent.sent"));
  }
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({}));
  const text = typeof said.detail === "string" && ![401, 403].includes(response.status) ? said.detail : "";
  if (text) throw new ApiError(response.status, say("error.unchanged"), text);
  if (response.status === 403) throw new ApiError(403, say("error.no_access"), say("error.no_access.edit"));
  throw errorFor(response.status);
}

function errorFor(status) {
  if (status === 401) return new ApiError(401, say("error.signed_out"), say("error.signed_out.more"));
  if (status === 403) {
    return new ApiError(403, say("error.no_access"), say("error.no_access.read"));
  }
  if (status === 404) return new ApiError(404, say("error.not_found"), say("error.not_found.more"));
  return new ApiError(status, say("page.broken"), say("error.status", { status: String(status) }));
}
