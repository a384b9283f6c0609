const poll = async (queueId) => {
  while (true) {
    const res = await fetch("https://api.venice.ai/api/v1/video/retrieve", {
      method: "POST",
      headers: {
        "Authorization": "Bearer YOUR_API_KEY",
        "Content-Type": "application/json",
      },
      body: JSON.stringify({ queue_id: queueId }),
    });
    const data = await res.json();

    if (data.status === "completed") {
      console.log(`Video URL: ${data.url}`);
      return data;
    }

    await new Promise((r) => setTimeout(r, 5000));
  }
};

await poll(queue_id);
