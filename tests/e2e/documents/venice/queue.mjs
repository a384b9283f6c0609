const response = await fetch("https://api.venice.ai/api/v1/video/queue", {
  method: "POST",
  headers: {
    "Authorization": "Bearer YOUR_API_KEY",
    "Content-Type": "application/json",
  },
  body: JSON.stringify({
    model: "topaz-video-upscale",
    video_url: "https://example.com/input-video.mp4",
    upscale_factor: 2,
  }),
});

const { queue_id } = await response.json();
console.log(`Queued: ${queue_id}`);
