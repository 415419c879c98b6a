// Asking our own endpoints. The answer is JSON, or a Refused that says in a person's words what is wrong.

const ROOT = new URL("../", import.meta.url);

export class Refused extends Error {
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
    throw new Refused(0, "Airflow does not answer", "The API server could not be reached. This page tries again.");
  }
  if (response.ok) return response.json();
  throw refusal(response.status);
}

function refusal(status) {
  if (status === 401) return new Refused(401, "You are signed out", "Sign in to Airflow again, then reload this page.");
  if (status === 403) {
    return new Refused(403, "You don't have access", "Test runs are visible to users who can read the XComs of the DAG. Ask your Airflow administrator.");
  }
  if (status === 404) return new Refused(404, "Nothing here any more", "Airflow has no such task instance. It may have been deleted.");
  return new Refused(status, "Something went wrong", `The API server answered with status ${status}; its log says why.`);
}
